import { builder } from '../builder.ts'
import { Message } from '../messages/message.ts'

builder.subscriptionField('message', (t) =>
  t.field({
    type: Message,
    nullable: true,
    description:
      'Now (null until it is received), then at every change; the latest state wins, version shows what was skipped. Ends with ARCHIVED if it is archived, as the query message is answered.',
    args: {
      transactionId: t.arg.id({
        required: true,
        description: "The business's id, or record:topic:partition:offset.",
      }),
    },
    subscribe: (_, { transactionId }, { streams, client }) => streams.message(client, transactionId),
    resolve: ({ message }) => message,
  }),
)
