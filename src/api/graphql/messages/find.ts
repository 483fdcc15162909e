import { findRecord } from '../../../log/read/find-record.ts'
import { isStorable } from '../../../log/read/is-storable.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import { Event } from './event.ts'
import { refuseArchivedRecord } from '../refuse-archived.ts'
import { findInLog } from './find-message.ts'
import { Message } from './message.ts'

builder.queryField('message', (t) =>
  t.field({
    type: Message,
    nullable: true,
    description:
      'One message by its transaction id, compared byte for byte; null if it is unknown. Where it is archived, there is an error with the code ARCHIVED, and archive, messageId and archivedAt beside the code.',
    args: {
      transactionId: t.arg.id({
        required: true,
        description: "The business's id, or record:topic:partition:offset.",
      }),
    },
    resolve: (_, { transactionId }, context) =>
      isStorable(transactionId) ? findInLog(transactionId, context) : null,
  }),
)

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
