import { findRecord } from '../../../log/read/find-record.ts'
import { isStorable } from '../../../log/read/is-storable.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import { Event } from './event.ts'
import { loadersOf } from './loaders.ts'
import { Message } from './message.ts'

builder.queryField('message', (t) =>
  t.field({
    type: Message,
    nullable: true,
    description: 'One message by its transaction id, compared byte for byte; null if it is unknown.',
    args: {
      transactionId: t.arg.id({
        required: true,
        description: "The business's id, or record:topic:partition:offset.",
      }),
    },
    resolve: (_, { transactionId }, context) =>
      isStorable(transactionId) ? loadersOf(context).messageByTransactionId.load(transactionId) : null,
  }),
)

builder.queryField('record', (t) =>
  t.field({
    type: Event,
    nullable: true,
    description: 'What became of one Kafka record: exactly one event, or null.',
    args: {
      topic: t.arg.string({ required: true, description: 'The topic.' }),
      partition: t.arg.int({ required: true, description: 'The partition of the topic.' }),
      offset: t.arg({ type: 'BigInt', required: true, description: 'The offset in the partition.' }),
      incarnation: t.arg.int({
        description: 'Of the partition; without it, the latest one with such a record.',
      }),
    },
    resolve: (_, record, { dependencies }) =>
      isStorable(record.topic) ? ask(dependencies.database, (client) => findRecord(client, record)) : null,
  }),
)
