import type { Pool } from 'pg'
import type { MessageId } from '../../message/message.ts'
import { messageColumns, readMessageRow, type MessageRow, type StateRow } from './message-row.ts'

const byId = {
  name: 'find_messages',
  text: `select ${messageColumns('s')}
    from unnest($1::bigint[]) as i (message_id)
    cross join lateral (select m.* from message_states m where m.message_id = i.message_id limit 1) s`,
}

const byTransactionId = {
  name: 'find_messages_by_transaction_id',
  text: `select ${messageColumns('s')}
    from unnest($1::text[]) as i (transaction_id)
    cross join lateral (
      select b.message_id from inbox b where b.transaction_id = i.transaction_id collate "C" limit 1
    ) k
    cross join lateral (select m.* from message_states m where m.message_id = k.message_id limit 1) s`,
}

const byReference = {
  name: 'find_messages_by_reference',
  text: `select ${messageColumns('s')}
    from (
      select distinct e.message_id from message_events e where e.reference = $1 order by e.message_id desc limit $2
    ) i
    cross join lateral (select m.* from message_states m where m.message_id = i.message_id limit 1) s
    order by i.message_id desc`,
}

/** Finds messages by their ids, as they are now, in any order. An unknown id has no row. */
export async function findMessages(
  database: Pick<Pool, 'query'>,
  messageIds: readonly MessageId[],
): Promise<MessageRow[]> {
  const { rows } = await database.query<StateRow>({ ...byId, values: [messageIds] })
  return rows.map(readMessageRow)
}

/**
 * Finds messages by their transaction ids, as they are now, in any order. An unknown id has no row.
 *
 * @throws what pg throws, also for an id with NUL, which PostgreSQL's text cannot hold
 */
export async function findMessagesByTransactionId(
  database: Pick<Pool, 'query'>,
  transactionIds: readonly string[],
): Promise<MessageRow[]> {
  const { rows } = await database.query<StateRow>({ ...byTransactionId, values: [transactionIds] })
  return rows.map(readMessageRow)
}

/** Finds the messages of which an answer had this reference, the newest first, at most `rowsMax`. */
export async function findMessagesByReference(
  database: Pick<Pool, 'query'>,
  reference: string,
  rowsMax: number,
): Promise<MessageRow[]> {
  const { rows } = await database.query<StateRow>({ ...byReference, values: [reference, rowsMax] })
  return rows.map(readMessageRow)
}
