import type { Step } from './archive.ts'

/** What became of a segment, as `npm run archive -- --json` prints it, a line each. */
export type ArchiveStep =
  | {
      readonly step: 'kept'
      readonly segment: number
      readonly because: 'needed' | 'young' | 'open'
      readonly why: string
    }
  | { readonly step: 'ready'; readonly segment: number }
  | {
      readonly step: 'archived'
      readonly segment: number
      readonly path: string
      readonly messages: number
      readonly events: number
    }
  | { readonly step: 'refused'; readonly segment: number; readonly why: string }
  | { readonly step: 'unfinished'; readonly segment: number; readonly path: string; readonly why: string }

export function describeStep(done: Step): ArchiveStep {
  const { segment } = done.segment
  switch (done.kind) {
    case 'kept':
      return { step: 'kept', segment, because: done.because, why: done.why }
    case 'ready':
      return { step: 'ready', segment }
    case 'archived': {
      const messages = done.counts.messages.success + done.counts.messages.dead_letter
      const events = Object.values(done.counts.events).reduce((sum, each) => sum + each, 0)
      return { step: 'archived', segment, path: done.path, messages, events }
    }
    case 'refused':
      return { step: 'refused', segment, why: done.why }
    case 'unfinished':
      return { step: 'unfinished', segment, path: done.path, why: done.why }
  }
}

/** The same as a sentence. */
export function printStep(done: ArchiveStep): string {
  const name = `segment ${done.segment}`
  switch (done.step) {
    case 'kept':
      return `${name}: stays, because ${done.why}`
    case 'ready':
      return `${name}: can be archived.`
    case 'archived':
      return `${name}: archived in ${done.path}: ${done.messages} messages, ${done.events} events.`
    case 'refused':
      return `${name}: stays, because the archive that is there cannot be used. ${done.why}`
    case 'unfinished':
      return `${name}: its archive is whole (${done.path}), but it is still in the database, because ${done.why}`
  }
}
