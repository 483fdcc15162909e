import { builder } from './builder.ts'

// Inside, a value is what the log calls it: a row's text is the enum's value, and the reader does not translate.

export const MessageStatus = builder.enumType('MessageStatus', {
  description: 'Where a message is on its way.',
  values: {
    PENDING: { value: 'pending', description: 'Stored, or replayed; its next attempt is due.' },
    PROCESSING: { value: 'processing', description: 'An attempt is open.' },
    SUCCESS: { value: 'success', description: 'Accepted by the processor.' },
    FAILED: { value: 'failed', description: 'The last attempt failed; the next one is scheduled.' },
    DEAD_LETTER: {
      value: 'dead_letter',
      description:
        'Refused, out of retries, or a record that cannot be sent. An operator may replay the first two.',
    },
  } as const,
})

export const EventType = builder.enumType('EventType', {
  description: "May grow: treat an unknown value as 'other'.",
  values: {
    RECEIVED: { value: 'received', description: 'Stored from Kafka, for the first time.' },
    ATTEMPT_STARTED: {
      value: 'attempt_started',
      description: 'An attempt is about to be sent; recorded before its first byte.',
    },
    SUCCEEDED: { value: 'succeeded', description: 'The processor accepted it.' },
    ATTEMPT_FAILED: { value: 'attempt_failed', description: 'The attempt ended without being accepted.' },
    ATTEMPT_ABANDONED: {
      value: 'attempt_abandoned',
      description:
        'The lease ended with no outcome, or the attempt was superseded: nobody can say what became of it.',
    },
    DEAD_LETTERED: { value: 'dead_lettered', description: 'No further attempt follows.' },
    REPLAYED: { value: 'replayed', description: 'An operator opened the dead letter again.' },
    DUPLICATE_RECEIVED: {
      value: 'duplicate_received',
      description: 'Another record with the same id and the same bytes.',
    },
    CONFLICT_RECEIVED: {
      value: 'conflict_received',
      description:
        'A record with a known id and other bytes: on the original, and as version 1 of its own message.',
    },
    REJECTED: { value: 'rejected', description: 'A record that cannot be read or has no identity.' },
    LATE_RESULT_OBSERVED: {
      value: 'late_result_observed',
      description: 'The processor accepted an attempt that had been given up: the message is a success.',
    },
  } as const,
})

export const OutcomeKind = builder.enumType('OutcomeKind', {
  description: 'What became of one attempt, as far as anyone can know.',
  values: {
    ACCEPTED: { value: 'accepted', description: 'Any 2xx, whatever the body.' },
    REFUSED: { value: 'refused', description: '3xx or a 4xx that is not retried: a dead letter at once.' },
    UNAVAILABLE: { value: 'unavailable', description: 'A status that is retried, such as 429 or a 5xx.' },
    NOT_SENT: { value: 'not_sent', description: 'No byte left: name resolution, connection refused, TLS.' },
    UNKNOWN: {
      value: 'unknown',
      description: 'A timeout, a reset, a broken answer: it may have been carried out.',
    },
  } as const,
})

export const Lane = builder.enumType('Lane', {
  description: 'Two lanes with a concurrency each, so that neither starves the other.',
  values: {
    FRESH: { value: 'fresh', description: 'First attempts since a message was received or replayed.' },
    RETRY: { value: 'retry', description: 'All other attempts.' },
  } as const,
})

export const DeadLetterCause = builder.enumType('DeadLetterCause', {
  description: 'Why a message is a dead letter.',
  values: {
    REFUSED: { value: 'refused', description: 'The processor refused it for good.' },
    RETRIES_EXHAUSTED: { value: 'retries_exhausted', description: 'Its last retry failed too.' },
    REJECTED_RECORD: {
      value: 'rejected_record',
      description: 'A record that cannot be read; never sendable.',
    },
    CONFLICTING_RECORD: {
      value: 'conflicting_record',
      description: 'A record with a known id and other bytes; never sendable.',
    },
  } as const,
})

export const PayloadState = builder.enumType('PayloadState', {
  description: 'What is left of the bytes.',
  values: {
    WHOLE: { value: 'whole', description: 'All of them are kept.' },
    CUT: {
      value: 'cut',
      description: 'The record was too large: the first 64 KiB are kept, with size and hash.',
    },
    EXPUNGED: { value: 'expunged', description: 'They were removed; size and hash are kept.' },
    ABSENT: { value: 'absent', description: 'The record had no value.' },
  } as const,
})

export const Role = builder.enumType('Role', {
  description: 'What one who asks may do.',
  values: {
    VIEWER: { value: 'viewer', description: 'May look at everything and change nothing.' },
    OPERATOR: { value: 'operator', description: 'May also replay.' },
  } as const,
})

export const MessageOrder = builder.enumType('MessageOrder', {
  description:
    'UPDATED_* is the order of the last event (served by walking the log: an index on updated_at would cost every update its HOT path). Pages over an order that moves may repeat or skip what moved.',
  values: {
    CREATED_DESC: { description: 'Newest first.' },
    CREATED_ASC: { description: 'Oldest first.' },
    UPDATED_DESC: { description: 'Last changed first.' },
    UPDATED_ASC: { description: 'Longest unchanged first.' },
    DUE_ASC: { description: 'Next due first; only messages that wait for an attempt.' },
  } as const,
})
