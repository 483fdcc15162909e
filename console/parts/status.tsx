import { formatName } from './format.ts'

/** A state by colour and by word: never by colour alone. */
export function Badge({ tone, children }: { tone: Tone; children: string }) {
  return <span class={`badge ${tone}`}>{children}</span>
}

export type Tone = 'good' | 'busy' | 'wait' | 'bad' | 'calm'

const tones: Readonly<Record<string, Tone>> = {
  PENDING: 'wait',
  PROCESSING: 'busy',
  SUCCESS: 'good',
  FAILED: 'wait',
  DEAD_LETTER: 'bad',
  FLOWING: 'good',
  RAMPING: 'busy',
  HELD: 'bad',
  PAUSED: 'bad',
  RUNNING: 'busy',
  WAITING: 'wait',
  STOPPED: 'bad',
  DONE: 'good',
}

type Props = { status: string; held?: boolean; resolution?: string | null; outcomeUnknown?: boolean }

/** Where a message is. A resolved dead letter is nobody's work any more, so it is calm. */
export function Status({ status, held = false, resolution = null, outcomeUnknown = false }: Props) {
  return (
    <span class="badges">
      <Badge tone={resolution === null ? toneOf(status) : 'calm'}>{formatName(status)}</Badge>
      {held && <Badge tone="bad">on hold</Badge>}
      {resolution !== null && <Badge tone="calm">{`resolved: ${formatName(resolution)}`}</Badge>}
      {outcomeUnknown && status !== 'SUCCESS' && <Badge tone="bad">may have been paid</Badge>}
    </span>
  )
}

export function toneOf(state: string): Tone {
  return tones[state] ?? 'calm'
}
