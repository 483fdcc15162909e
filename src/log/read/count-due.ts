import type { Pool } from 'pg'
import type { LaneName } from '../../message/message.ts'

const countedMax = 10_000

// Walks the index on due times. The rows themselves are read only if they have changed lately.
const statement = {
  name: 'count_due',
  text: `select count(*)::int as due from (
      select from message_states s
      where s.queue = $1 and s.due_at is not null and s.due_at <= statement_timestamp() limit ${countedMax + 1}
    ) d`,
}

/**
 * Counts the messages that wait for room in a lane. Above ten thousand it returns an estimate instead (`exact` is false): all
 * messages of the lane's status, also those that are not due yet.
 */
export async function countDue(
  database: Pick<Pool, 'query'>,
  lane: LaneName,
): Promise<{ value: string; exact: boolean }> {
  const status = lane === 'fresh' ? 'pending' : 'failed'
  const { rows } = await database.query<{ due: number }>({ ...statement, values: [status] })
  const due = rows[0]?.due ?? 0
  if (due <= countedMax) return { value: String(due), exact: true }
  const all = await database.query<Record<typeof status, string>>(
    'select pending, failed from status_counts()',
  )
  return { value: all.rows[0]?.[status] ?? String(due), exact: false }
}
