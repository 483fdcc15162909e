import type { ExpungeAnswer } from '../../../log/write/expunge.ts'
import { builder } from '../builder.ts'
import { MessageStatus } from '../enums.ts'
import { ExpungeRefusal } from './expunge-refusal.ts'
import { namedMessage } from './named-message.ts'
import { MessageArchived, MessageNotFound } from './replay-result.ts'

type Of<Kind extends ExpungeAnswer['kind']> = Extract<ExpungeAnswer, { kind: Kind }> & {
  readonly transactionId: string
}

const Expunged = builder.objectRef<Of<'expunged' | 'already'>>('Expunged').implement({
  description: 'version: of the expunged event. repeated: it had been expunged before.',
  fields: (t) => ({
    transactionId: t.exposeID('transactionId', { description: 'The id that was named.' }),
    version: t.exposeInt('version', { description: 'Of the expunged event.' }),
    repeated: t.boolean({
      description: 'Whether it had been expunged before, and nothing was done now.',
      resolve: ({ kind }) => kind === 'already',
    }),
    message: t.field(namedMessage),
  }),
})

const NotExpungeable = builder.objectRef<Of<'open'>>('NotExpungeable').implement({
  description:
    'Only a success or a dead letter can be expunged: every other message may still need its bytes.',
  interfaces: [ExpungeRefusal],
  fields: (t) => ({
    status: t.expose('status', { type: MessageStatus, description: 'Where the message was.' }),
    message: t.field(namedMessage),
  }),
})

export const ExpungeResult = builder.unionType('ExpungeResult', {
  description: 'May grow: select on the interface ExpungeRefusal.',
  types: [Expunged, MessageNotFound, MessageArchived, NotExpungeable],
  resolveType: ({ kind }) => {
    switch (kind) {
      case 'expunged':
      case 'already':
        return Expunged
      case 'unknown':
        return MessageNotFound
      case 'archived':
        return MessageArchived
      case 'open':
        return NotExpungeable
    }
  },
})
