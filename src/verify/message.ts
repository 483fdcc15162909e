import type { EventType, LogEvent, Status } from './event.ts'

/** One message while its events are read: its state so far, and what later events are compared with. */
export type Message = {
  readonly messageId: number

  // What the row of `message_states` must be.
  readonly transactionId: string | null
  version: number
  status: Status | 'none'
  retryCount: number
  attempts: number
  dueAt: number | null
  claimedBy: string | null
  errorMessage: string | null
  outcomeUnknown: boolean
  position: number
  createdAt: number
  updatedAt: number
  recordedAt: number

  // Needed by the checker only.
  firstType: EventType | null
  last: LogEvent | null
  payloadSha256: string | null
  payloadBytes: number | null
  open: OpenAttempt | null
  /** The end of an attempt without a retry. The next event must say why there is none. */
  unretried: UnretriedEnd | null
  /** The last attempt was abandoned, and there was no replay since. */
  abandonedBefore: boolean
  /** Who started each attempt, by its number. */
  readonly startedBy: Map<number, string>
  /** When the attempts were started, in order. */
  readonly startedAt: number[]
  /** The log says that the processor accepted. */
  accepted: boolean
  /** An attempt ended unknown, was abandoned, or got its answer late: the processor's effect may differ from the status. */
  doubtful: boolean
}

export type OpenAttempt = {
  readonly attempt: number
  readonly actor: string
  readonly leaseEndsAt: number
  /** The position of the event that started it. */
  readonly position: number
}

type UnretriedEnd = { readonly event: LogEvent; readonly attempt: OpenAttempt | null }

/** Makes a message before any event is folded. The first event names its identity. */
export function newMessage(first: LogEvent): Message {
  return {
    messageId: first.messageId,
    transactionId: first.transactionId,
    version: 0,
    status: 'none',
    retryCount: 0,
    attempts: 0,
    dueAt: null,
    claimedBy: null,
    errorMessage: null,
    outcomeUnknown: false,
    position: 0,
    createdAt: 0,
    updatedAt: 0,
    recordedAt: 0,
    firstType: null,
    last: null,
    payloadSha256: null,
    payloadBytes: null,
    open: null,
    unretried: null,
    abandonedBefore: false,
    startedBy: new Map(),
    startedAt: [],
    accepted: false,
    doubtful: false,
  }
}

/** The name of a message in a difference. */
export function nameOf(message: { messageId: number; transactionId: string | null }): string {
  return message.transactionId ?? `message ${message.messageId}`
}
