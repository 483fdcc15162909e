/** One event of a script, in the columns of the log. `#` in a reason becomes the message's number. */
type ScriptEvent = {
  type: string
  status: string
  lane: 'ingest' | 'fresh' | 'retry'
  /** From received to this event. */
  at_ms: number
  /** From this event to its due_at; null for none. */
  due_ms: number | null
  retry_count: number
  attempt: number | null
  outcome: string | null
  status_code: number | null
  duration_ms: number | null
  reason: string | null
}

export type Script = {
  name: string
  /** Of a thousand messages, how many go this way. */
  share: number
  events: ScriptEvent[]
}

const nothing = { attempt: null, outcome: null, status_code: null, duration_ms: null, reason: null }
const leaseMs = 60_000
export const baseDelayMs = 60_000
export const retriesMax = 5

type Ending = { outcome: string; code: number | null; reason: string }
const refused: Ending = { outcome: 'refused', code: 422, reason: 'HTTP 422: account # is closed' }
const unavailable: Ending = { outcome: 'unavailable', code: 503, reason: 'HTTP 503' }
const unknown: Ending = {
  outcome: 'unknown',
  code: null,
  reason: 'no answer within 30000 ms, request # was sent',
}
const notSent: Ending = { outcome: 'not_sent', code: null, reason: 'connect ECONNREFUSED 10.0.0.17:8001' }

const delivered: Script = { name: 'delivered', share: 900, events: attempts([], 'accepted') }

/** What becomes of a thousand messages of a service that has been at work for a while. */
export const mixed: readonly Script[] = [
  delivered,
  { name: 'delivered after a retry', share: 40, events: attempts([unavailable], 'accepted') },
  { name: 'delivered after an unknown outcome', share: 8, events: attempts([unknown], 'accepted') },
  { name: 'refused', share: 20, events: attempts([refused], 'dead') },
  { name: 'given up', share: 5, events: attempts(Array<Ending>(retriesMax + 1).fill(unavailable), 'dead') },
  { name: 'refused after an unknown outcome', share: 4, events: attempts([unknown, refused], 'dead') },
  { name: 'waiting for a retry', share: 8, events: attempts([notSent], 'waiting') },
  { name: 'pending', share: 5, events: [received()] },
  { name: 'rejected', share: 10, events: [rejected()] },
]

const waiting = ['waiting for a retry', 'pending']

/** The same when nothing waits any more. */
export const finished: readonly Script[] = mixed
  .filter(({ name }) => !waiting.includes(name))
  .map((script) => (script === delivered ? { ...script, share: 913 } : script))

export const onlyPending: readonly Script[] = [{ name: 'pending', share: 1_000, events: [received()] }]

export const onlyDelivered: readonly Script[] = [{ ...delivered, share: 1_000 }]

/** Nine reasons in ten are unlike all others. */
export const onlyDeadLetters: readonly Script[] = [
  { name: 'refused', share: 850, events: attempts([refused], 'dead') },
  { name: 'refused after an unknown outcome', share: 50, events: attempts([unknown, refused], 'dead') },
  { name: 'given up', share: 50, events: attempts(Array<Ending>(retriesMax + 1).fill(unavailable), 'dead') },
  { name: 'rejected', share: 50, events: [rejected()] },
]

function attempts(failures: readonly Ending[], end: 'accepted' | 'dead' | 'waiting'): ScriptEvent[] {
  const events = [received()]
  let at = 2
  for (const [retries, ending] of failures.entries()) {
    const isLast = end === 'dead' && retries === failures.length - 1
    events.push(started(at, retries), failed(at + 21, retries, ending, isLast))
    if (isLast) events.push(deadLettered(at + 21, retries, ending))
    at += 21 + delayMs(retries) + 5
  }
  if (end === 'accepted') events.push(started(at, failures.length), succeeded(at + 14, failures.length))
  return events
}

function delayMs(retries: number): number {
  return baseDelayMs * 2 ** retries
}

function received(): ScriptEvent {
  return {
    ...nothing,
    type: 'received',
    status: 'pending',
    lane: 'ingest',
    at_ms: 0,
    due_ms: 0,
    retry_count: 0,
  }
}

function rejected(): ScriptEvent {
  const reason = 'The value is not JSON.'
  return { ...received(), type: 'rejected', status: 'dead_letter', due_ms: null, reason }
}

function started(at_ms: number, retries: number): ScriptEvent {
  const lane = retries === 0 ? 'fresh' : 'retry'
  const type = 'attempt_started'
  return {
    ...nothing,
    type,
    status: 'processing',
    lane,
    at_ms,
    due_ms: leaseMs,
    retry_count: retries,
    attempt: retries + 1,
  }
}

function failed(
  at_ms: number,
  retries: number,
  { outcome, code, reason }: Ending,
  isLast: boolean,
): ScriptEvent {
  return {
    ...started(at_ms, retries),
    type: 'attempt_failed',
    status: 'failed',
    due_ms: isLast ? null : delayMs(retries),
    retry_count: isLast ? retries : retries + 1,
    outcome,
    status_code: code,
    duration_ms: 20,
    reason,
  }
}

function deadLettered(at_ms: number, retries: number, { outcome }: Ending): ScriptEvent {
  const reason = outcome === 'refused' ? 'refused' : 'retries exhausted'
  return { ...started(at_ms, retries), type: 'dead_lettered', status: 'dead_letter', due_ms: null, reason }
}

function succeeded(at_ms: number, retries: number): ScriptEvent {
  return {
    ...started(at_ms, retries),
    type: 'succeeded',
    status: 'success',
    due_ms: null,
    outcome: 'accepted',
    status_code: 200,
    duration_ms: 13,
  }
}
