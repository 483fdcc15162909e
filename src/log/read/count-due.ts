import type { Pool } from 'pg'
import type { Lane } from '../../message/message.ts'

const countedMax = 10_000

// Walks the index of what is due; its rows are not visited while they have not changed lately.
const statement = {
  name: 'count_due',
  text: `select count(*)::int as due from (
      select from message_states s
      where s.status = $1 and s.due_at is not null and s.due_at <= statement_timestamp() limit ${countedMax + 1}
    ) d`,
}

/** How many messages wait for room in a lane. Beyond ten thousand, all that the lane will ever have to do: an estimate. */
export async function countDue(
  database: Pick<Pool, 'query'>,
  lane: Lane,
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
