import type { Pool } from 'pg'
import type { MessageId } from '../../message/message.ts'
import { archivesNow } from './log-cursor.ts'
import { epochOf, eventColumns, readLogEvent, type EventRow, type LogEvent } from './log-event.ts'

const statement = {
  name: 'read_history',
  text: `select ${eventColumns('e')}, ${epochOf('e.position')} as epoch, ${archivesNow} as archives, s.transaction_id
    from unnest($1::bigint[]) as i (message_id)
    cross join lateral (
      select m.transaction_id from message_states m where m.message_id = i.message_id limit 1
    ) s
    cross join lateral (
      select h.* from message_events h
      where h.message_id = i.message_id and h.version > $2 order by h.version limit $3
    ) e
    limit $4`,
}

/**
 * Reads the events of each of these messages by version: those after `afterVersion`, at most `rowsMax` for each message and at most
 * `totalMax` in all. They come message by message, in the order given.
 */
export async function readHistory(
  database: Pick<Pool, 'query'>,
  messageIds: readonly MessageId[],
  afterVersion: number,
  rowsMax: number,
  totalMax: number,
): Promise<LogEvent[]> {
  const { rows } = await database.query<EventRow>({
    ...statement,
    values: [messageIds, afterVersion, rowsMax, totalMax],
  })
  return rows.map(readLogEvent)
}
