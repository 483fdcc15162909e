import type { Pool } from 'pg'
import type { MessageId } from '../../message/message.ts'
import { rfc3339 } from './rfc3339.ts'

/** Where a message is that is not in the database any more. */
export type Archived = {
  /** The folder's name. */
  readonly archive: string
  readonly messageId: MessageId
  /** RFC 3339. */
  readonly archivedAt: string
}

const columns = `a.name as archive, ${rfc3339('a.archived_at')} as archived_at`

// Nearly always none of the ids is archived. So they are compared first with all archived ids together, which are one range or a few:
// whoever asks for a thousand ids does not compare each with hundreds of archives.
const archivedIds = `(
    select range_agg(int8range(g.first_message_id, g.next_message_id)) from segment_archives g
  )`

/** Finds the archive of a message by its transaction id; null if the message is in the database, or unknown. */
export async function findArchived(
  database: Pick<Pool, 'query'>,
  transactionId: string,
): Promise<Archived | null> {
  return (await findAllArchived(database, [transactionId])).get(transactionId) ?? null
}

/** Finds which of these transaction ids are of archived messages, and where each is. */
export async function findAllArchived(
  database: Pick<Pool, 'query'>,
  transactionIds: readonly string[],
): Promise<Map<string, Archived>> {
  const { rows } = await database.query<Row & { transaction_id: string }>({
    name: 'find_archived',
    text: `select i.transaction_id, i.message_id, ${columns}
      from unnest($1::text[]) as u (transaction_id)
      cross join lateral (
        select b.transaction_id, b.message_id from inbox b where b.transaction_id = u.transaction_id collate "C" limit 1
      ) i
      join segment_archives a on i.message_id >= a.first_message_id and i.message_id < a.next_message_id
      where ${archivedIds} @> i.message_id`,
    values: [transactionIds],
  })
  return new Map(rows.map((row) => [row.transaction_id, readArchived(row)]))
}

/** Finds which of these message ids lie in archived segments, and where each is. */
export async function findArchivedIds(
  database: Pick<Pool, 'query'>,
  messageIds: readonly MessageId[],
): Promise<Archived[]> {
  const { rows } = await database.query<Row>({
    name: 'find_archived_ids',
    text: `select i.message_id, ${columns}
      from unnest($1::bigint[]) as i (message_id)
      join segment_archives a on i.message_id >= a.first_message_id and i.message_id < a.next_message_id
      where ${archivedIds} @> i.message_id`,
    values: [messageIds],
  })
  return rows.map(readArchived)
}

type Row = { archive: string; message_id: string; archived_at: string }

function readArchived({ archive, message_id, archived_at }: Row): Archived {
  return { archive, messageId: message_id as MessageId, archivedAt: archived_at }
}
