import type { Pool } from 'pg'
import type { Status, TransactionId } from '../../message/message.ts'
import { rfc3339 } from './rfc3339.ts'

/** A message as `GET /transactions` shows it. Times are RFC 3339 in UTC with six digits. */
export type TransactionRow = {
  transaction_id: TransactionId
  status: Status
  retry_count: number
  error_message: string | null
  created_at: string
  updated_at: string
}

// The payload is not asked for, so no record is read, and the primary key is walked backwards.
export const statement = {
  name: 'list_transactions',
  text: `select transaction_id, status, retry_count, error_message,
      ${rfc3339('created_at')} as created_at, ${rfc3339('updated_at')} as updated_at
    from messages m
    order by m.message_id desc
    limit $1`,
}

/** Lists the messages that were received last, the newest first. */
export async function listTransactions(
  database: Pick<Pool, 'query'>,
  limit: number,
): Promise<TransactionRow[]> {
  const { rows } = await database.query<TransactionRow>({ ...statement, values: [limit] })
  return rows
}
