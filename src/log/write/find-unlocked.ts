import type { Pool } from 'pg'
import type { MessageId } from '../../message/message.ts'
import { int8Array } from './binary-array.ts'

/** Finds which of these messages no other session has locked at this moment. */
export async function findUnlocked(
  database: Pool,
  messageIds: readonly MessageId[],
): Promise<ReadonlySet<MessageId>> {
  const { rows } = await database.query<{ ids: MessageId[] }>({
    name: 'unlocked',
    text: 'select unlocked_of($1) as ids',
    values: [int8Array(messageIds.map(BigInt))],
  })
  return new Set(rows[0]?.ids ?? [])
}
