import type { EventType, LogEvent, Status } from './event.ts'

/** One message in the middle of its log: what the events so far make of it, and what later ones are held against. */
export type Message = {
  readonly messageId: number

  // What `message_states` must show.
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

  // What only the checker needs.
  firstType: EventType | null
  last: LogEvent | null
  payloadSha256: string | null
  payloadBytes: number | null
  open: OpenAttempt | null
  /** The end of an attempt without a retry, which is right only by what directly follows it. */
  unretried: UnretriedEnd | null
  /** Whether the attempt before ended abandoned, with no replay since. */
  abandonedBefore: boolean
  /** Who started each attempt, by its number. */
  readonly startedBy: Map<number, string>
  /** When attempts were started, in their order. */
  readonly startedAt: number[]
  /** Whether the processor's acceptance stands in the log. */
  accepted: boolean
  /** Whether an attempt ended unknown, was abandoned, or had an answer come late: its effect may differ from its status. */
  doubtful: boolean
}

export type OpenAttempt = {
  readonly attempt: number
  readonly actor: string
  readonly leaseEndsAt: number
  /** Of the event that started it. */
  readonly position: number
}

type UnretriedEnd = { readonly event: LogEvent; readonly attempt: OpenAttempt | null }

/** A message of which nothing is folded yet but whose identity the first event names. */
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

/** How differences name a message. */
export function nameOf(message: { messageId: number; transactionId: string | null }): string {
  return message.transactionId ?? `message ${message.messageId}`
}
