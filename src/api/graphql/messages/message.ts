import type { MessageRow } from '../../../log/read/message-row.ts'
import { idempotencyKey } from '../../../message/idempotency-key.ts'
import { builder } from '../builder.ts'
import { DeadLetterCause, MessageStatus, OutcomeKind, Resolution } from '../enums.ts'
import { readBounded } from '../read-bounded.ts'
import { loadersOf } from './loaders-of.ts'
import { Node } from './node.ts'

/** The state of a message; what it does not hold is loaded, one statement for all messages of an answer. */
export const Message = builder.objectRef<MessageRow>('Message').implement({
  description: 'One transaction on its way, or a record that can never be sent.',
  interfaces: [Node],
  fields: (t) => ({
    id: t.exposeID('messageId', { description: 'Opaque, minted when it was first stored; what node takes.' }),
    transactionId: t.exposeID('transactionId', {
      description:
        "The business's id, or record:topic:partition:offset for a rejected or conflicting record.",
    }),
    status: t.expose('status', { type: MessageStatus, description: 'Where it is now.' }),
    retryCount: t.exposeInt('retryCount', {
      description: 'Retries scheduled since it was received or last replayed.',
    }),
    attempts: t.exposeInt('attempts', { description: 'Attempts ever started.' }),
    version: t.exposeInt('version', { description: 'Of its last event; versions are dense from 1.' }),
    errorMessage: t.exposeString('errorMessage', {
      nullable: true,
      description: "The last failure's reason; null once it succeeded or was replayed.",
    }),
    nextDueAt: t.expose('nextDueAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When the next attempt may start; null while PROCESSING and when terminal. Null while held, too.',
    }),
    held: t.exposeBoolean('held', {
      description:
        'Whether an operator keeps it PENDING or FAILED, without another attempt, until it is released.',
    }),
    resolution: t.expose('resolution', {
      type: Resolution,
      nullable: true,
      description:
        'What an operator resolved the dead letter as; null while it is open. Who, why and the evidence are in the history.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was first stored.' }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When its status, retries or attempts last changed.',
    }),
    outcomeUnknown: t.exposeBoolean('outcomeUnknown', {
      description:
        'Any attempt ended with no answer or was abandoned: it may have been carried out. Stays true after SUCCESS. An answer of UNKNOWN_STATUSES counts too.',
    }),
    reference: t.exposeString('reference', {
      nullable: true,
      description:
        'What the processor called the payment in its last answer that did (REFERENCE); null if none did. The history has them all.',
    }),
    idempotencyKey: t.string({
      description: 'What every attempt carries as Idempotency-Key; a function of the transaction id alone.',
      resolve: (message) => idempotencyKey(message.transactionId),
    }),
    replayable: t.boolean({
      description:
        'Whether an operator may replay it: a dead letter that was readable, is no conflict, was not expunged and is not resolved.',
      // No business's id begins so, and what cannot be sent has no other; so this needs no second look-up that may fail.
      resolve: ({ status, transactionId, isExpungedLetter, resolution }) =>
        status === 'dead_letter' &&
        !transactionId.startsWith('record:') &&
        !isExpungedLetter &&
        resolution === null,
    }),
    failurePattern: t.exposeString('failurePattern', {
      nullable: true,
      description:
        'The last error with ids and numbers taken out; what topFailures groups by and the filter accepts.',
    }),
  }),
})

builder.objectFields(Message, (t) => ({
  deadLetterCause: t.field({
    type: DeadLetterCause,
    nullable: true,
    description: 'Why it is a dead letter; null if it is none.',
    resolve: async (message, _, context) => {
      if (message.status !== 'dead_letter') return null
      return (await loadersOf(context).details.load(message.messageId))?.deadLetterCause
    },
  }),
  deadLetteredAt: t.field({
    type: 'DateTime',
    nullable: true,
    description: 'When it became a dead letter; null if it is none.',
    resolve: async (message, _, context) => {
      if (message.status !== 'dead_letter') return null
      return (await loadersOf(context).details.load(message.messageId))?.deadLetteredAt
    },
  }),
  lastOutcome: t.field({
    type: OutcomeKind,
    nullable: true,
    description: 'How its last ended attempt ended; null before any has.',
    resolve: async (message, _, context) =>
      (await loadersOf(context).details.load(message.messageId))?.lastOutcome,
  }),
  lastStatusCode: t.int({
    nullable: true,
    description: 'The HTTP status of its last ended attempt; null if there was no answer.',
    resolve: async (message, _, context) =>
      (await loadersOf(context).details.load(message.messageId))?.lastStatusCode,
  }),
  conflictCount: t.int({
    description: 'How many records came with this id and other bytes.',
    resolve: async (message, _, context) =>
      (await loadersOf(context).details.load(message.messageId))?.conflictCount ?? 0,
  }),
  conflicts: t.field({
    type: [Message],
    nullable: true,
    description: 'Records with this id and other bytes, without those that are archived.',
    args: { first: t.arg.int({ defaultValue: 20, required: true, description: 'At most 200.' }) },
    resolve: async (message, { first }, context) => {
      const rowsMax = readBounded('first', first, 0, 200)
      const conflicts = await loadersOf(context).conflicts(rowsMax).load(message.messageId)
      return conflicts.map((conflict) => conflict.message)
    },
  }),
  conflictsWith: t.field({
    type: Message,
    nullable: true,
    description:
      'The message that had the id first, on a conflicting record. Null if that one is archived: errorMessage names its id.',
    resolve: async (message, _, context) => {
      const loaders = loadersOf(context)
      const details = await loaders.details.load(message.messageId)
      return details?.conflictsWith ? loaders.message.load(details.conflictsWith) : null
    },
  }),
}))
