import type { ReplayAnswer } from '../../../log/write/replay.ts'
import { builder } from '../builder.ts'
import { DeadLetterCause, MessageStatus, Resolution } from '../enums.ts'
import { findArchived } from '../../../log/read/find-archived.ts'
import { ask } from '../../ask.ts'
import { explainKeyWindow } from '../../explain-key-window.ts'
import { explainStanding } from '../../explain-decision.ts'
import { ArchivedMessage } from './archived.ts'
import { DecisionRefusal } from './decision-refusal.ts'
import { ExpungeRefusal } from './expunge-refusal.ts'
import { namedMessage, resolveCause } from './named-message.ts'

type Of<Kind extends ReplayAnswer['kind']> = Extract<ReplayAnswer, { kind: Kind }> & {
  readonly transactionId: string
}
type Refusal = Of<
  | 'unknown'
  | 'archived'
  | 'not_replayable'
  | 'expunged'
  | 'already_held'
  | 'already_resolved'
  | 'key_reused'
  | 'key_window_passed'
>

const ReplayRefusal = builder.interfaceRef<Refusal>('ReplayRefusal').implement({
  description: 'Why a message was not replayed. Nothing of it stands in the log.',
  fields: (t) => ({
    transactionId: t.exposeID('transactionId', { description: 'The id that was named.' }),
    text: t.string({ description: 'A sentence for people.', resolve: explain }),
  }),
})

const Replayed = builder.objectRef<Of<'replayed' | 'repeated'>>('Replayed').implement({
  description: 'version: of the replayed event. repeated: the same request was accepted before.',
  fields: (t) => ({
    transactionId: t.exposeID('transactionId', { description: 'The id that was named.' }),
    version: t.exposeInt('version', { description: 'Of the replayed event.' }),
    repeated: t.boolean({
      description:
        'Whether the same request, by its idempotency key, was accepted before and nothing was done now.',
      resolve: ({ kind }) => kind === 'repeated',
    }),
    message: t.field(namedMessage),
  }),
})

export const MessageNotFound = builder.objectRef<Of<'unknown'>>('MessageNotFound').implement({
  description: 'No message has this id.',
  interfaces: [ReplayRefusal, ExpungeRefusal, DecisionRefusal],
})

export const MessageArchived = builder.objectRef<Of<'archived'>>('MessageArchived').implement({
  description: 'The message is archived: its log takes no more events.',
  interfaces: [ReplayRefusal, ExpungeRefusal, DecisionRefusal],
  fields: (t) => ({
    // Each of the interfaces has a text, and one would win. This one is true of a replay, an expunge and a decision.
    text: t.string({ description: 'A sentence for people.', resolve: explain }),
    archived: t.field({
      type: ArchivedMessage,
      nullable: true,
      description: 'Where it is.',
      resolve: ({ transactionId }, _, { dependencies }) =>
        ask(dependencies.database, (client) => findArchived(client, transactionId)),
    }),
  }),
})

const NotReplayable = builder.objectRef<Of<'not_replayable' | 'expunged'>>('NotReplayable').implement({
  description:
    'Only a dead letter can be replayed; never a record that was rejected or conflicts, and nothing whose payload was expunged.',
  interfaces: [ReplayRefusal],
  fields: (t) => ({
    status: t.expose('status', { type: MessageStatus, description: 'Where the message was.' }),
    deadLetterCause: t.field({
      type: DeadLetterCause,
      nullable: true,
      description: 'Why it is a dead letter; null if it is none.',
      resolve: resolveCause,
    }),
    message: t.field(namedMessage),
  }),
})

export const AlreadyHeld = builder.objectRef<Of<'already_held'>>('AlreadyHeld').implement({
  description: 'The message is on hold, and stays so until it is released.',
  interfaces: [ReplayRefusal, DecisionRefusal],
  fields: (t) => ({
    text: t.string({ description: 'A sentence for people.', resolve: explain }),
    actor: t.exposeString('actor', { description: 'Who put it on hold.' }),
    since: t.expose('since', { type: 'DateTime', description: 'When.' }),
    reason: t.exposeString('reason', { description: 'Why.' }),
    message: t.field(namedMessage),
  }),
})

export const AlreadyResolved = builder.objectRef<Of<'already_resolved'>>('AlreadyResolved').implement({
  description: 'The dead letter is resolved, and stays so until it is reopened.',
  interfaces: [ReplayRefusal, DecisionRefusal],
  fields: (t) => ({
    text: t.string({ description: 'A sentence for people.', resolve: explain }),
    resolution: t.expose('resolution', { type: Resolution, description: 'What it was resolved as.' }),
    actor: t.exposeString('actor', { description: 'Who resolved it.' }),
    since: t.expose('since', { type: 'DateTime', description: 'When.' }),
    reason: t.exposeString('reason', { description: 'Why.' }),
    message: t.field(namedMessage),
  }),
})

const IdempotencyKeyReused = builder.objectRef<Of<'key_reused'>>('IdempotencyKeyReused').implement({
  description: 'Your request of this idempotency key was accepted for this message, with another reason.',
  interfaces: [ReplayRefusal],
})

const KeyWindowPassed = builder.objectRef<Of<'key_window_passed'>>('KeyWindowPassed').implement({
  description:
    'The message may have been carried out, and the processor may have forgotten its key: sent again, it might be carried out twice. Ask the processor, and confirm with confirmNotCarriedOut.',
  interfaces: [ReplayRefusal],
  fields: (t) => ({
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      description:
        'Until when the processor remembers the key: KEY_WINDOW after the first attempt that may have been sent.',
    }),
    message: t.field(namedMessage),
  }),
})

export const ReplayResult = builder.unionType('ReplayResult', {
  description: 'May grow: select on the interface ReplayRefusal.',
  types: [
    Replayed,
    MessageNotFound,
    MessageArchived,
    NotReplayable,
    IdempotencyKeyReused,
    AlreadyHeld,
    AlreadyResolved,
    KeyWindowPassed,
  ],
  resolveType: ({ kind }) => {
    switch (kind) {
      case 'replayed':
      case 'repeated':
        return Replayed
      case 'unknown':
        return MessageNotFound
      case 'archived':
        return MessageArchived
      case 'not_replayable':
      case 'expunged':
        return NotReplayable
      case 'key_reused':
        return IdempotencyKeyReused
      case 'key_window_passed':
        return KeyWindowPassed
      case 'already_held':
        return AlreadyHeld
      case 'already_resolved':
        return AlreadyResolved
    }
  },
})

function explain(refusal: Refusal): string {
  const { kind, transactionId } = refusal
  switch (kind) {
    case 'unknown':
      return `Transaction ${transactionId} is unknown.`
    case 'archived':
      return `Transaction ${transactionId} is archived in ${refusal.archive}, and its bytes too: it takes no more events.`
    case 'not_replayable':
      return refusal.status === 'dead_letter'
        ? `${transactionId} is a record that was rejected or conflicts with another: it can never be sent.`
        : `Transaction ${transactionId} is ${refusal.status}: only a dead letter can be replayed.`
    case 'expunged':
      return `The payload of ${transactionId} was expunged: there are no bytes to send.`
    case 'already_held':
    case 'already_resolved':
      return explainStanding(transactionId, refusal)
    case 'key_window_passed':
      return `${explainKeyWindow(transactionId, refusal.endedAt)}, replay it with confirmNotCarriedOut.`
    case 'key_reused':
      return 'This idempotency key was used for a replay with another reason: take a new key.'
  }
}
