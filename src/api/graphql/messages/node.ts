import type { LogEvent } from '../../../log/read/log-event.ts'
import type { MessageRow } from '../../../log/read/message-row.ts'
import type { MessageId } from '../../../message/message.ts'
import { builder } from '../builder.ts'
import { findInLogById } from './find-message.ts'
import { loadersOf } from './loaders-of.ts'

/**
 * GraphQL Global Object Identification (https://relay.dev/graphql/objectidentification.htm): an object can be asked for again by its id
 * alone. Ids of messages and events differ in their form, so one says which object of which type it is.
 */
export const Node = builder.interfaceRef<MessageRow | LogEvent>('Node').implement({
  description: 'What can be asked for again by its id alone.',
  fields: (t) => ({
    id: t.id({
      description: 'Opaque; the same for ever, and of no other object of any type.',
      resolve: (node) => ('recordedAt' in node ? `${node.messageId}:${node.version}` : node.messageId),
    }),
  }),
  resolveType: (node) => ('recordedAt' in node ? 'Event' : 'Message'),
})

builder.queryField('node', (t) =>
  t.field({
    type: Node,
    nullable: true,
    description:
      'A message or an event by its id; null if there is none. Where its id is archived, there is an error with the code ARCHIVED, as message has it.',
    args: { id: t.arg.id({ required: true, description: 'As an earlier answer had it.' }) },
    resolve: async (_, { id }, context) => {
      const [, messageId, version] = idForm.exec(id) ?? []
      if (messageId === undefined || BigInt(messageId) > bigintMax) return null
      if (version === undefined) return findInLogById(messageId as MessageId, context)
      if (Number(version) > intMax) return null
      const [event] = await loadersOf(context)
        .history(Number(version) - 1, 1)
        .load(messageId as MessageId)
      return event ?? null
    },
  }),
)

const idForm = /^([1-9]\d{0,18})(?::([1-9]\d{0,9}))?$/
const bigintMax = 9_223_372_036_854_775_807n
const intMax = 2_147_483_647
