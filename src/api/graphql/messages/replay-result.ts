import type { ReplayAnswer } from '../../../log/write/replay.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../context.ts'
import { DeadLetterCause, MessageStatus } from '../enums.ts'
import { loadersOf } from './loaders.ts'
import { Message } from './message.ts'

type Of<Kind extends ReplayAnswer['kind']> = Extract<ReplayAnswer, { kind: Kind }> & {
  readonly transactionId: string
}
type Refusal = Of<'unknown' | 'not_replayable' | 'key_reused'>

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
    message: t.field({
      type: Message,
      nullable: true,
      description: 'As it stands now.',
      resolve: ({ transactionId }, _, context) => findMessage(transactionId, context),
    }),
  }),
})

const MessageNotFound = builder.objectRef<Of<'unknown'>>('MessageNotFound').implement({
  description: 'No message has this id.',
  interfaces: [ReplayRefusal],
})

const NotReplayable = builder.objectRef<Of<'not_replayable'>>('NotReplayable').implement({
  description: 'Only a dead letter can be replayed, and a record that was rejected or conflicts never.',
  interfaces: [ReplayRefusal],
  fields: (t) => ({
    status: t.expose('status', { type: MessageStatus, description: 'Where the message was.' }),
    deadLetterCause: t.field({
      type: DeadLetterCause,
      nullable: true,
      description: 'Why it is a dead letter; null if it is none.',
      resolve: async ({ transactionId, status }, _, context) => {
        if (status !== 'dead_letter') return null
        const message = await findMessage(transactionId, context)
        if (message === null) return null
        return (await loadersOf(context).details.load(message.messageId))?.deadLetterCause
      },
    }),
    message: t.field({
      type: Message,
      nullable: true,
      description: 'As it stands now.',
      resolve: ({ transactionId }, _, context) => findMessage(transactionId, context),
    }),
  }),
})

const IdempotencyKeyReused = builder.objectRef<Of<'key_reused'>>('IdempotencyKeyReused').implement({
  description: 'Your request of this idempotency key was accepted for this message, with another reason.',
  interfaces: [ReplayRefusal],
})

export const ReplayResult = builder.unionType('ReplayResult', {
  description: 'May grow: select on the interface ReplayRefusal.',
  types: [Replayed, MessageNotFound, NotReplayable, IdempotencyKeyReused],
  resolveType: ({ kind }) => {
    switch (kind) {
      case 'replayed':
      case 'repeated':
        return Replayed
      case 'unknown':
        return MessageNotFound
      case 'not_replayable':
        return NotReplayable
      case 'key_reused':
        return IdempotencyKeyReused
    }
  },
})

function findMessage(transactionId: string, context: GraphContext) {
  return loadersOf(context).messageByTransactionId.load(transactionId)
}

function explain(refusal: Refusal): string {
  const { kind, transactionId } = refusal
  switch (kind) {
    case 'unknown':
      return `Transaction ${transactionId} is unknown.`
    case 'not_replayable':
      return refusal.status === 'dead_letter'
        ? `${transactionId} is a record that was rejected or conflicts with another: it can never be sent.`
        : `Transaction ${transactionId} is ${refusal.status}: only a dead letter can be replayed.`
    case 'key_reused':
      return 'This idempotency key was used for a replay with another reason: take a new key.'
  }
}
