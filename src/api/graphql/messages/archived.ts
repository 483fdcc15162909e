import { findArchived, type Archived } from '../../../log/read/find-archived.ts'
import { isStorable } from '../../../log/read/is-storable.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'

export const ArchivedMessage = builder.objectRef<Archived>('ArchivedMessage').implement({
  description: 'Where a message is that is not in the database any more.',
  fields: (t) => ({
    archive: t.exposeString('archive', { description: "The name of the archive's folder." }),
    messageId: t.exposeID('messageId', { description: "The message's id, as the archive's lines have it." }),
    archivedAt: t.expose('archivedAt', { type: 'DateTime', description: 'When it was archived.' }),
  }),
})

builder.queryField('archived', (t) =>
  t.field({
    type: ArchivedMessage,
    nullable: true,
    description:
      'Where a message is that message does not find because it was archived; null if it is in the database, or unknown.',
    args: {
      transactionId: t.arg.id({
        required: true,
        description: "The business's id, or record:topic:partition:offset.",
      }),
    },
    resolve: (_, { transactionId }, { dependencies }) =>
      isStorable(transactionId)
        ? ask(dependencies.database, (client) => findArchived(client, transactionId))
        : null,
  }),
)
