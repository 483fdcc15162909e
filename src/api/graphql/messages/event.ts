import type { LogEvent } from '../../../log/read/log-event.ts'
import { builder } from '../builder.ts'
import { InquiryAnswer, EventType, Lane, MessageStatus, OutcomeKind, Resolution } from '../enums.ts'
import { KafkaRecord } from './kafka-record.ts'
import { findInLogById } from './find-message.ts'
import { loadersOf } from './loaders-of.ts'
import { Message } from './message.ts'
import { Node } from './node.ts'

export const Event = builder.objectRef<LogEvent>('Event').implement({
  description: 'What happened to a message, once and for ever.',
  interfaces: [Node],
  fields: (t) => ({
    id: t.id({
      description: 'Opaque, made of the message and the version; what node takes.',
      resolve: ({ messageId, version }) => `${messageId}:${version}`,
    }),
    transactionId: t.exposeID('transactionId', { description: "Its message's." }),
    version: t.exposeInt('version', { description: 'Its place in its message; dense from 1.' }),
    type: t.expose('type', { type: EventType, description: 'What happened.' }),
    recordedAt: t.expose('recordedAt', {
      type: 'DateTime',
      description: "By the database's clock; never decreases in a message.",
    }),
    actor: t.exposeString('actor', { description: "Instance and lane, or the operator's name." }),
    lane: t.expose('lane', {
      type: Lane,
      nullable: true,
      description: 'The lane that recorded it, if one did.',
    }),
    attempt: t.exposeInt('attempt', {
      nullable: true,
      description: 'The attempt that it starts, ends or reports on; attempt numbers never restart.',
    }),
    outcome: t.expose('outcome', {
      type: OutcomeKind,
      nullable: true,
      description: 'How the attempt ended, where it ended one.',
    }),
    statusCode: t.exposeInt('statusCode', { nullable: true, description: 'The HTTP status of the answer.' }),
    durationMs: t.exposeFloat('durationMs', { nullable: true, description: 'How long the attempt took.' }),
    reason: t.exposeString('reason', {
      nullable: true,
      description: 'Why it failed or was rejected; on what an operator did, the reason that was given.',
    }),
    resolution: t.expose('resolution', {
      type: Resolution,
      nullable: true,
      description: 'On RESOLVED: what the operator says became of the payment.',
    }),
    evidence: t.exposeString('evidence', {
      nullable: true,
      description: 'On RESOLVED: what proves it, if the operator named something.',
    }),
    inquiry: t.expose('inquiry', {
      type: InquiryAnswer,
      nullable: true,
      description: 'On INQUIRED: what the processor said of the payment.',
    }),
    reference: t.exposeString('reference', {
      nullable: true,
      description:
        'On events that record an answer: what the processor called the payment there (REFERENCE), if it did.',
    }),
    confirmedNotCarriedOut: t.exposeBoolean('confirmedNotCarriedOut', {
      nullable: true,
      description:
        'On REPLAYED of a message in doubt, true if the operator said that the payment was not carried out. Otherwise null.',
    }),
    job: t.exposeID('job', {
      nullable: true,
      description: 'On REPLAYED and RESOLVED: the replay job that did so, if one did; replayJob finds it.',
    }),
    nextDueAt: t.expose('nextDueAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When the next attempt may start after it; null while PROCESSING and when terminal. Null while held, too.',
    }),
    status: t.expose('status', { type: MessageStatus, description: 'Of the message after this event.' }),
    retryCount: t.exposeInt('retryCount', { description: 'Of the message after this event.' }),
  }),
})

builder.objectFields(Event, (t) => ({
  source: t.field({
    type: KafkaRecord,
    nullable: true,
    description: 'The Kafka record that it accounts for, if it does.',
    resolve: ({ source, transactionId, messageId, version, relatedMessageId }) => {
      if (source === null) return null
      // A conflicting record is kept once, with its own message.
      const kept =
        relatedMessageId !== null && version > 1
          ? { messageId: relatedMessageId, version: 1 }
          : { messageId, version }
      return { ...source, transactionId, ...kept }
    },
  }),
  conflict: t.field({
    type: Message,
    nullable: true,
    description: 'The other message, on both sides of a CONFLICT_RECEIVED; null if that one is archived.',
    resolve: ({ relatedMessageId }, _, context) =>
      relatedMessageId === null ? null : loadersOf(context).message.load(relatedMessageId),
  }),
  message: t.field({
    type: Message,
    nullable: true,
    description: 'Its message as it stands now.',
    resolve: ({ messageId }, _, context) => findInLogById(messageId, context),
  }),
}))

builder.objectField(Message, 'source', (t) =>
  t.field({
    type: KafkaRecord,
    nullable: true,
    description: 'The Kafka record it was first stored from.',
    resolve: async ({ messageId, transactionId }, _, context) => {
      const details = await loadersOf(context).details.load(messageId)
      return details?.source ? { ...details.source, transactionId, messageId, version: 1 } : null
    },
  }),
)
