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
        'Refused, out of retries, cancelled, perhaps carried out and not sent again, or a record that cannot be sent. An operator may replay all but the last, and resolve each.',
    },
  } as const,
})

export const ConsumerState = builder.enumType('ConsumerState', {
  description: 'What the consumer of an instance does.',
  values: {
    STARTING: { value: 'starting', description: 'It connects, or waits for Kafka or the topic.' },
    RUNNING: { value: 'running', description: 'It stores what Kafka hands over.' },
    REBALANCING: { value: 'rebalancing', description: 'The group is about to assign its partitions again.' },
    WAITING_FOR_DATABASE: {
      value: 'waiting for the database',
      description: 'It keeps its membership and waits for PostgreSQL.',
    },
    CRASHED: { value: 'crashed', description: 'It lost Kafka, and begins again soon.' },
    STOPPED: { value: 'stopped', description: 'It has left the group.' },
  } as const,
})

export const InstanceState = builder.enumType('InstanceState', {
  description: 'Whether an instance lives.',
  values: {
    LIVE: { value: 'live', description: 'It has a LISTEN session on the database, and is heard.' },
    SILENT: {
      value: 'silent',
      description: 'It has a session, but was not heard for 15 s: it is frozen, or cut off.',
    },
    GONE: {
      value: 'gone',
      description: 'It has no session any more: it ended, or is cut off. It is told of for ten minutes.',
    },
  } as const,
})

export const JournalKind = builder.enumType('JournalKind', {
  description: "What a decision is about. May grow: treat an unknown value as 'other'.",
  values: {
    PAYMENT: { value: 'payment', description: 'One payment: replayed, held, resolved, expunged and so on.' },
    DESTINATION: { value: 'destination', description: 'Whether payments flow there, and how fast.' },
    REPLAY_JOB: { value: 'replay_job', description: 'A replay or a resolution of many dead letters.' },
    PARTITION: { value: 'partition', description: 'A partition that stopped, and how it went on.' },
    ARCHIVE: { value: 'archive', description: 'A segment of the log that went into an archive.' },
    EPOCH: { value: 'epoch', description: 'The log went on in a new epoch, after a restore or a failover.' },
  } as const,
})

export const DecidedBy = builder.enumType('DecidedBy', {
  description: 'Who decides.',
  values: {
    OPERATOR: { value: 'operator', description: 'A person, or a program in its name.' },
    SERVICE: { value: 'service', description: 'An instance by itself, such as its guard.' },
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
      description:
        'An answer came after its attempt had ended. If the processor accepted, the message is a success; otherwise nothing changes.',
    },
    EXPUNGED: {
      value: 'expunged',
      description: 'Its bytes, key and headers were removed; the reason says why.',
    },
    HELD: { value: 'held', description: 'An operator put it on hold: it is not attempted until RELEASED.' },
    RELEASED: { value: 'released', description: 'An operator released it: it may be attempted again.' },
    CANCELLED: {
      value: 'cancelled',
      description: 'An operator made it a dead letter without another attempt.',
    },
    RESOLVED: {
      value: 'resolved',
      description: 'An operator closed the dead letter: resolution, reason and evidence say how.',
    },
    REOPENED: { value: 'reopened', description: 'An operator opened the resolved dead letter again.' },
    INQUIRY_STARTED: {
      value: 'inquiry_started',
      description: 'The processor is asked about it, because it may have been carried out.',
    },
    INQUIRED: { value: 'inquired', description: 'What the processor said: inquiry.' },
  } as const,
})

export const OutcomeKind = builder.enumType('OutcomeKind', {
  description: 'What became of one attempt, as far as anyone can know.',
  values: {
    ACCEPTED: { value: 'accepted', description: 'Any 2xx, whatever the body.' },
    REFUSED: { value: 'refused', description: '3xx or a 4xx that is not retried: a dead letter at once.' },
    UNAVAILABLE: { value: 'unavailable', description: 'A status that is retried, such as 429 or 503.' },
    NOT_SENT: {
      value: 'not_sent',
      description:
        'Nothing reached the processor: name resolution, connection refused, TLS, or the attempt waited too long for a free request.',
    },
    UNKNOWN: {
      value: 'unknown',
      description:
        'A timeout, a reset, a broken answer, a status of UNKNOWN_STATUSES: it may have been carried out.',
    },
  } as const,
})

export const InquiryAnswer = builder.enumType('InquiryAnswer', {
  description: 'What the processor said of a payment when it was asked, by STATUS_RULES.',
  values: {
    CARRIED_OUT: { value: 'carried_out', description: 'It was carried out: the message is a success.' },
    REFUSED: { value: 'refused', description: 'It was refused: the message is a dead letter.' },
    IN_PROGRESS: { value: 'in_progress', description: 'It is being carried out: it is asked again later.' },
    NOT_FOUND: {
      value: 'not_found',
      description: 'It is not known. After the second time it is sent again.',
    },
    NO_ANSWER: {
      value: 'no_answer',
      description: 'No answer, or none that a rule knows: it is asked again.',
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
  description: "Why a message is a dead letter. May grow: treat an unknown value as 'other'.",
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
    CANCELLED: { value: 'cancelled', description: 'An operator cancelled it before it was accepted.' },
    OUTCOME_UNKNOWN: {
      value: 'outcome_unknown',
      description: 'It may have been carried out, and is not sent again by itself.',
    },
  } as const,
})

export const Resolution = builder.enumType('Resolution', {
  description: 'What an operator says became of the payment of a dead letter.',
  values: {
    CARRIED_OUT: { value: 'carried_out', description: 'It was carried out, by the processor or by hand.' },
    NOT_CARRIED_OUT: { value: 'not_carried_out', description: 'It was not carried out, and will not be.' },
    DUPLICATE: { value: 'duplicate', description: 'Another payment stands for it.' },
    IGNORED: { value: 'ignored', description: 'There is nothing to pay: a test, a broken record.' },
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
    EXPUNGED: {
      value: 'expunged',
      description: 'They were removed, see the event EXPUNGED; size and hash are kept.',
    },
    ABSENT: { value: 'absent', description: 'The record had no value.' },
  } as const,
})

export const DestinationState = builder.enumType('DestinationState', {
  description: 'Whether payments flow to a destination; the same for all instances.',
  values: {
    FLOWING: { value: 'flowing', description: 'Payments are sent as they come due.' },
    HELD: {
      value: 'held',
      description: 'Stopped by the guard. One message at a time is sent as a probe; nothing else is sent.',
    },
    PAUSED: { value: 'paused', description: 'Stopped by an operator. Nothing is sent, no probe either.' },
    RAMPING: { value: 'ramping', description: 'Starts again: the room for requests doubles each second.' },
  } as const,
})

export const DestinationCause = builder.enumType('DestinationCause', {
  description:
    "Why a decision about a destination was made. The last four are about its pace alone and leave its state as it was. May grow: treat an unknown value as 'other'.",
  values: {
    FAILURES: {
      value: 'failures',
      description:
        'HELD: too many failures in a row: no answer, a fault of the processor, or one that refuses us.',
    },
    REFUSALS: { value: 'refusals', description: 'HELD: too many payments in a row were refused.' },
    PROBES: { value: 'probes', description: 'RAMPING: the probes were answered.' },
    RAMPED: { value: 'ramped', description: 'FLOWING: all room is open again.' },
    OPERATOR: { value: 'operator', description: 'PAUSED or RAMPING: an operator paused or resumed it.' },
    UNTIL: { value: 'until', description: 'RAMPING: the time of the pause was over.' },
    RATE: { value: 'rate', description: 'An operator set another limit, or none.' },
    SETTING: { value: 'setting', description: 'RATE_LIMIT or RATE_BURST was changed.' },
    THROTTLED: {
      value: 'throttled',
      description: 'The processor asked for fewer attempts (429, or 503 with Retry-After), and gets fewer.',
    },
    UNTHROTTLED: {
      value: 'unthrottled',
      description: 'The processor has not asked for less for a while, and gets all again.',
    },
  } as const,
})

export const Role = builder.enumType('Role', {
  description: 'What one who asks may do.',
  values: {
    VIEWER: {
      value: 'viewer',
      description: 'May look at everything but payloads, keys and header values, and change nothing.',
    },
    INVESTIGATOR: {
      value: 'investigator',
      description: 'May also see payloads, keys and header values, and who has seen them.',
    },
    OPERATOR: {
      value: 'operator',
      description:
        'May also replay, expunge, decide about messages, plan and steer replay jobs, and pause, resume and limit a destination.',
    },
  } as const,
})

export const AccessKind = builder.enumType('AccessKind', {
  description: "What an access was. May grow: treat an unknown value as 'other'.",
  values: {
    LOGIN_REFUSED: {
      value: 'login_refused',
      description:
        'Requests that were refused; one row a minute for each reason and address, with their amount.',
    },
    PAYLOAD_READ: {
      value: 'payload_read',
      description: 'An answer held payloads, keys or values of headers.',
    },
    EXPORTED: { value: 'exported', description: 'A client says that it has exported something.' },
    COMMAND_STARTED: { value: 'command_started', description: 'A command beside the database was started.' },
    COMMAND_ENDED: { value: 'command_ended', description: 'It has ended; details.code is its exit code.' },
    SERVICE_STARTED: {
      value: 'service_started',
      description:
        'An instance has started; details has the hashes of its settings, and which differ from those of the start before.',
    },
    TOKENS_CHANGED: {
      value: 'tokens_changed',
      description: 'The file of tokens has changed; nobody can say by whom.',
    },
  } as const,
})

export const MessageOrder = builder.enumType('MessageOrder', {
  description:
    'UPDATED_* is the order of the last event (served by walking the log: an index on updated_at would cost every update its HOT path). Pages over an order that moves may repeat or skip what moved.',
  values: {
    CREATED_DESC: {
      description:
        'Newest first, in the order of the message ids. Of messages stored at the same moment, createdAt may differ from it by milliseconds.',
    },
    CREATED_ASC: { description: 'Oldest first, in the same order.' },
    UPDATED_DESC: { description: 'Last changed first.' },
    UPDATED_ASC: { description: 'Longest unchanged first.' },
    DUE_ASC: { description: 'Next due first; only messages that wait for an attempt.' },
  } as const,
})

export const JobKind = builder.enumType('JobKind', {
  description: 'What a job does with the dead letters of its plan.',
  values: {
    REPLAY: { value: 'replay', description: 'It replays them.' },
    RESOLVE: { value: 'resolve', description: 'It resolves them: resolveMany.' },
  } as const,
})

export const JobState = builder.enumType('JobState', {
  description: "May grow: treat an unknown value as 'other'.",
  values: {
    RUNNING: { value: 'running', description: 'An instance carries it out.' },
    WAITING: {
      value: 'waiting',
      description: 'It runs, and replays nothing until the destination flows at its full pace: waitsFor.',
    },
    PAUSED: { value: 'paused', description: 'An operator paused it.' },
    STOPPED: {
      value: 'stopped',
      description:
        'It stopped by itself, because too many failed again: stoppedBecause. An operator resumes it.',
    },
    ABORTED: {
      value: 'aborted',
      description: 'An operator ended it. What it has already replayed is sent as usual.',
    },
    DONE: { value: 'done', description: 'Each message of its plan was replayed, resolved or skipped.' },
  } as const,
})

export const JobEventType = builder.enumType('JobEventType', {
  description: "May grow: treat an unknown value as 'other'.",
  values: {
    STARTED: { value: 'started', description: 'An operator started it.' },
    PAUSED: { value: 'paused', description: 'An operator paused it.' },
    RESUMED: { value: 'resumed', description: 'An operator resumed it.' },
    PACE_CHANGED: { value: 'pace_changed', description: 'An operator changed its pace.' },
    STOPPED: { value: 'stopped', description: 'It stopped by itself.' },
    ABORTED: { value: 'aborted', description: 'An operator ended it.' },
    DONE: { value: 'done', description: 'It is done.' },
  } as const,
})

export const SkipReason = builder.enumType('SkipReason', {
  description: "Why a message is not replayed. May grow: treat an unknown value as 'other'.",
  values: {
    REJECTED_RECORD: { value: 'rejected_record', description: 'A record that can never be sent.' },
    CONFLICTING_RECORD: {
      value: 'conflicting_record',
      description: 'A record with a known id and other bytes, which can never be sent.',
    },
    EXPUNGED: { value: 'expunged', description: 'Its bytes were removed.' },
    CANCELLED: {
      value: 'cancelled',
      description: 'An operator cancelled it, and the filter of the plan does not name that cause.',
    },
    ARCHIVED: { value: 'archived', description: 'It is in an archive, and takes no more events.' },
    REPLAYED: { value: 'replayed', description: 'Somebody replayed it after it was planned.' },
    SUCCEEDED: { value: 'succeeded', description: 'A late answer made it a success.' },
    RESOLVED: { value: 'resolved', description: 'Somebody resolved it after it was planned.' },
    KEY_WINDOW_PASSED: {
      value: 'key_window_passed',
      description: 'It may have been carried out, and the processor may have forgotten its key.',
    },
  } as const,
})

export const JobRefusal = builder.enumType('JobRefusal', {
  description: "May grow: treat an unknown value as 'other'.",
  values: {
    PLAN_UNKNOWN: { value: 'plan_unknown', description: 'There is no such plan, or it has expired.' },
    PLAN_EXPIRED: { value: 'plan_expired', description: 'The plan is older than an hour: plan again.' },
    ALREADY_STARTED: { value: 'already_started', description: 'The plan has a job already.' },
    KEY_REUSED: {
      value: 'key_reused',
      description: 'This viewer started the job with this idempotencyKey and other arguments.',
    },
    JOB_UNKNOWN: { value: 'job_unknown', description: 'There is no such job.' },
    WRONG_STATE: { value: 'wrong_state', description: 'This cannot be done with a job in this state.' },
  } as const,
})

export const PlanRefusal = builder.enumType('PlanRefusal', {
  description: "May grow: treat an unknown value as 'other'.",
  values: {
    NOTHING: { value: 'nothing', description: 'No open dead letter meets the filter.' },
    BUSY: { value: 'busy', description: 'Another plan is being made; one is made at a time.' },
  } as const,
})
