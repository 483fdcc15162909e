import type { GraphQLError } from 'graphql'
import type { Archived } from '../../log/read/find-archived.ts'
import { refuse } from './errors.ts'

/**
 * Says where a message is that was archived, in place of null, which would say that nobody has ever seen it. The extensions have what
 * the type ArchivedMessage has.
 */
export function refuseArchived(archived: Archived): GraphQLError {
  const { archive, messageId } = archived
  return refuse('ARCHIVED', `Message ${messageId} is archived: look for its id in ${archive}.`, {
    ...archived,
  })
}

/** The same for a Kafka record, of which it may not be known in which archive its event is. */
export function refuseArchivedRecord(archives: readonly string[]): GraphQLError {
  return refuse(
    'ARCHIVED',
    archives.length === 1
      ? `The event of this record is archived in ${archives.join()}.`
      : `The event of this record is archived in one of ${archives.join(', ')}.`,
    { archive: archives.length === 1 ? archives[0] : null, archives },
  )
}
