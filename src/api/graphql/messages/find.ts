import { findMessagesByReference } from '../../../log/read/find-messages.ts'
import { findRecord } from '../../../log/read/find-record.ts'
import { isStorable } from '../../../log/read/is-storable.ts'
import type { MessageRow } from '../../../log/read/message-row.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { refuse } from '../errors.ts'
import { refuseArchivedRecord } from '../refuse-archived.ts'
import { Event } from './event.ts'
import { findInLog } from './find-message.ts'
import { Message } from './message.ts'

builder.queryField('message', (t) =>
  t.field({
    type: Message,
    nullable: true,
    description:
      'One message by its transaction id, compared byte for byte, or by what the processor called the payment (REFERENCE): name one of the two. Null if it is unknown. Where it is archived, a transaction id gets an error with the code ARCHIVED, and archive, messageId and archivedAt beside the code; a reference finds nothing there. If several payments have the reference, there is an error with the code AMBIGUOUS, with the transactionIds of the newest beside it.',
    args: {
      transactionId: t.arg.id({
        description: "The business's id, or record:topic:partition:offset.",
      }),
      reference: t.arg.string({ description: 'What any answer of the processor called the payment.' }),
    },
    resolve: (_, { transactionId, reference }, context) => {
      const isNamed = typeof transactionId === 'string'
      if (isNamed === (typeof reference === 'string'))
        throw refuse('BAD_USER_INPUT', 'message needs transactionId or reference: name one of them.')
      if (isNamed) return isStorable(transactionId) ? findInLog(transactionId, context) : null
      return isStorable(reference ?? '') ? findByReference(reference ?? '', context) : null
    },
  }),
)

/** How many of those that have a reference a refusal names. */
const namedMax = 20

/** @throws AMBIGUOUS if several have it: one of them in place of all would hide the others */
async function findByReference(
  reference: string,
  { dependencies: { database } }: GraphContext,
): Promise<MessageRow | null> {
  const found = await ask(database, (client) => findMessagesByReference(client, reference, namedMax))
  const [only, ...others] = found
  if (others.length === 0) return only ?? null
  throw refuse(
    'AMBIGUOUS',
    'Several payments have this reference: list them with messages(filter: { reference }).',
    { transactionIds: found.map(({ transactionId }) => transactionId) },
  )
}

builder.queryField('record', (t) =>
  t.field({
    type: Event,
    nullable: true,
    description:
      'What became of one Kafka record: exactly one event, or null. Where that event is archived, there is an error with the code ARCHIVED; archives beside the code are all that it can be in, and archive is the one if there is only one.',
    args: {
      topic: t.arg.string({ required: true, description: 'The topic.' }),
      partition: t.arg.int({ required: true, description: 'The partition of the topic.' }),
      offset: t.arg({ type: 'BigInt', required: true, description: 'The offset in the partition.' }),
      incarnation: t.arg.int({
        description: 'Of the partition; without it, the latest one with such a record.',
      }),
    },
    resolve: async (_, record, { dependencies }) => {
      if (!isStorable(record.topic)) return null
      const found = await ask(dependencies.database, (client) => findRecord(client, record))
      if (found.kind === 'archived') throw refuseArchivedRecord(found.archives)
      return found.kind === 'found' ? found.event : null
    },
  }),
)
