import type { ComponentChildren } from 'preact'
import type { Fault } from '../api/ask.ts'
import { writeOut } from './foreign.tsx'

/** What the reader must know before the rest of the page. */
export function Notice({ tone, children }: { tone: 'bad' | 'calm' | 'good'; children: ComponentChildren }) {
  return (
    <p class={`notice ${tone}`} role={tone === 'bad' ? 'alert' : 'status'}>
      {children}
    </p>
  )
}

/** Why something could not be read, and whether what is shown all the same is of before. */
export function FaultNotice({ fault, isOld }: { fault: string | null; isOld: boolean }) {
  if (fault === null) return null
  return (
    <Notice tone="bad">
      {writeOut(fault)} {isOld && 'What you see is from before.'}
    </Notice>
  )
}

/** Why a delivery has not what was asked for. Each has an id of its own: who shows it keeps the first, so that it is read out once. */
export function sentenceOfMissing(faults: readonly Fault[]): string {
  return faults[0]?.message ?? 'The service does not know these figures.'
}

/** A sentence from whatever was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
