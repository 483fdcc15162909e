import type { DecisionAnswer } from '../../../log/write/decide-message.ts'
import { builder } from '../builder.ts'
import { DeadLetterCause, MessageStatus } from '../enums.ts'
import { DecisionRefusal } from './decision-refusal.ts'
import { namedMessage, resolveCause } from './named-message.ts'
import { AlreadyHeld, AlreadyResolved, MessageArchived, MessageNotFound } from './replay-result.ts'

type Of<Kind extends DecisionAnswer['kind']> = Extract<DecisionAnswer, { kind: Kind }> & {
  readonly transactionId: string
}

const Decided = builder.objectRef<Of<'decided'>>('Decided').implement({
  description: 'The decision is recorded.',
  fields: (t) => ({
    transactionId: t.exposeID('transactionId', { description: 'The id that was named.' }),
    version: t.exposeInt('version', { description: 'Of the event that records it.' }),
    message: t.field(namedMessage),
  }),
})

const AlreadyStarted = builder.objectRef<Of<'already_started'>>('AlreadyStarted').implement({
  description:
    'An attempt is open: it is too late to hold or to cancel. It may be tried again when the attempt has ended.',
  interfaces: [DecisionRefusal],
  fields: (t) => ({
    attempt: t.exposeInt('attempt', { description: 'The attempt that is open.' }),
    message: t.field(namedMessage),
  }),
})

const AlreadyEnded = builder.objectRef<Of<'already_ended'>>('AlreadyEnded').implement({
  description: 'The message is a SUCCESS or a DEAD_LETTER: there is nothing to hold or to cancel.',
  interfaces: [DecisionRefusal],
  fields: (t) => ({
    status: t.expose('status', { type: MessageStatus, description: 'Where the message was.' }),
    deadLetterCause: t.field({
      type: DeadLetterCause,
      nullable: true,
      description: 'Why it is a dead letter: CANCELLED if another operator was first. Null if it is none.',
      resolve: resolveCause,
    }),
    message: t.field(namedMessage),
  }),
})

const NotHeld = builder.objectRef<Of<'not_held'>>('NotHeld').implement({
  description: 'The message is not on hold, so there is nothing to release.',
  interfaces: [DecisionRefusal],
  fields: (t) => ({
    status: t.expose('status', { type: MessageStatus, description: 'Where the message was.' }),
  }),
})

const NotADeadLetter = builder.objectRef<Of<'not_a_dead_letter'>>('NotADeadLetter').implement({
  description: 'Only a dead letter can be resolved or reopened.',
  interfaces: [DecisionRefusal],
  fields: (t) => ({
    status: t.expose('status', { type: MessageStatus, description: 'Where the message was.' }),
  }),
})

const NotResolved = builder.objectRef<Of<'not_resolved'>>('NotResolved').implement({
  description: 'The dead letter is open already.',
  interfaces: [DecisionRefusal],
})

export const DecisionResult = builder.unionType('DecisionResult', {
  description: 'May grow: select on the interface DecisionRefusal.',
  types: [
    Decided,
    AlreadyStarted,
    AlreadyEnded,
    AlreadyHeld,
    NotHeld,
    NotADeadLetter,
    AlreadyResolved,
    NotResolved,
    MessageNotFound,
    MessageArchived,
  ],
  resolveType: ({ kind }) => {
    switch (kind) {
      case 'decided':
        return Decided
      case 'already_started':
        return AlreadyStarted
      case 'already_ended':
        return AlreadyEnded
      case 'already_held':
        return AlreadyHeld
      case 'not_held':
        return NotHeld
      case 'not_a_dead_letter':
        return NotADeadLetter
      case 'already_resolved':
        return AlreadyResolved
      case 'not_resolved':
        return NotResolved
      case 'unknown':
        return MessageNotFound
      case 'archived':
        return MessageArchived
    }
  },
})
