import type { LogEvent, Status } from './event.ts'
import type { EventType } from './event-type.ts'

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
  isSlow: boolean
  reference: string | null
  position: number
  createdAt: number
  updatedAt: number
  recordedAt: number

  /** The version of the event `held`, while the message is on hold, and when it would be due otherwise. */
  heldAt: number | null
  dueBefore: number | null
  /** The version of the event `resolved` while a dead letter is resolved, and what it is resolved as. */
  resolvedAt: number | null
  resolution: string | null

  // Needed by the checker only.
  /** Why it is a dead letter, or was one last. */
  letterCause: string | null
  /** The version of the event `cancelled`, until a replay. */
  cancelledAt: number | null
  firstType: EventType | null
  last: LogEvent | null
  payloadSha256: string | null
  payloadBytes: number | null
  /** The version of the event `expunged`. */
  expungedAt: number | null
  /** The version of the first record that is expunged, and of the first one that is not. */
  expungedRecord: number | null
  keptRecord: number | null
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
  /**
   * The first attempt that may have been sent, and when it started. Null in place of its number: a late result told of it, perhaps of one
   * that the log had lost.
   */
  firstSent: { readonly at: number; readonly attempt: number | null } | null
  /** The version of the event since when it may have been carried out; null while it is not in doubt. */
  inDoubtSince: number | null
  /** Since then: how often in a row the processor said that it does not know the payment, and when and by whom it was asked last. */
  notFounds: number
  notFoundAt: number | null
  notFoundBy: string | null
  /** What the processor said last. */
  inquiry: { readonly answer: string; readonly at: number } | null
  /** An attempt ended unknown, was abandoned, or got its answer late: the processor's effect may differ from the status. */
  effectMayDiffer: boolean
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
    isSlow: false,
    reference: null,
    position: 0,
    createdAt: 0,
    updatedAt: 0,
    recordedAt: 0,
    heldAt: null,
    dueBefore: null,
    resolvedAt: null,
    letterCause: null,
    resolution: null,
    cancelledAt: null,
    firstType: null,
    last: null,
    payloadSha256: null,
    payloadBytes: null,
    expungedAt: null,
    expungedRecord: null,
    keptRecord: null,
    open: null,
    unretried: null,
    abandonedBefore: false,
    startedBy: new Map(),
    startedAt: [],
    accepted: false,
    firstSent: null,
    inDoubtSince: null,
    notFounds: 0,
    notFoundAt: null,
    notFoundBy: null,
    inquiry: null,
    effectMayDiffer: false,
  }
}

/** The name of a message in a difference. */
export function nameOf(message: { messageId: number; transactionId: string | null }): string {
  return message.transactionId ?? `message ${message.messageId}`
}
