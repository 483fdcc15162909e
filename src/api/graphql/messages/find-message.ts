import type { MessageRow } from '../../../log/read/message-row.ts'
import type { MessageId } from '../../../message/message.ts'
import type { GraphContext } from '../create-context.ts'
import { refuseArchived } from '../refuse-archived.ts'
import { loadersOf } from './loaders-of.ts'

/** The message that a mutation's answer names, as it stands now; null if there is none, or if it is archived. */
export function findMessage(transactionId: string, context: GraphContext): Promise<MessageRow | null> {
  return loadersOf(context).messageByTransactionId.load(transactionId)
}

/**
 * The message that a reader names, as it stands now; null if it is unknown.
 *
 * @throws ARCHIVED with the archive that it is in
 */
export async function findInLog(transactionId: string, context: GraphContext): Promise<MessageRow | null> {
  const loaders = loadersOf(context)
  const message = await loaders.messageByTransactionId.load(transactionId)
  if (message !== null) return message
  // Asked for afterwards: whatever is archived meanwhile is found here.
  const archived = await loaders.archived.load(transactionId)
  if (archived !== null) throw refuseArchived(archived)
  return null
}

/** The same by its id. */
export async function findInLogById(messageId: MessageId, context: GraphContext): Promise<MessageRow | null> {
  const loaders = loadersOf(context)
  const message = await loaders.message.load(messageId)
  if (message !== null) return message
  const archived = await loaders.archivedById.load(messageId)
  if (archived !== null) throw refuseArchived(archived)
  return null
}
