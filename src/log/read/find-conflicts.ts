import type { Pool } from 'pg'
import type { MessageId } from '../../message/message.ts'
import { messageColumns, readMessageRow, type MessageRow, type StateRow } from './message-row.ts'

const statement = {
  name: 'find_conflicts',
  text: `select i.message_id as original, ${messageColumns('s')}
    from unnest($1::bigint[]) as i (message_id)
    cross join lateral (
      select e.version, e.related_message_id from message_events e
      where e.message_id = i.message_id and e.version > 1 and e.type = 'conflict_received' order by e.version limit $2
    ) c
    cross join lateral (select m.* from message_states m where m.message_id = c.related_message_id limit 1) s
    order by i.message_id, c.version`,
}

/** Finds the records that conflict with each of these messages, in the order in which they came, at most `rowsMax` for each. */
export async function findConflicts(
  database: Pick<Pool, 'query'>,
  messageIds: readonly MessageId[],
  rowsMax: number,
): Promise<{ original: MessageId; message: MessageRow }[]> {
  const { rows } = await database.query<StateRow & { original: MessageId }>({
    ...statement,
    values: [messageIds, rowsMax],
  })
  return rows.map((row) => ({ original: row.original, message: readMessageRow(row) }))
}
