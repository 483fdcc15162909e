import type { Pool } from 'pg'
import type { LaneName } from '../../message/message.ts'
import type { Lease } from './lease.ts'

/** Counts the messages that a lane should have taken more than ten seconds ago, up to a thousand of each status it waits for. */
export async function countMissed(database: Pool, lane: LaneName, lease: Lease): Promise<number> {
  const { rows } = await database.query<{ missed: number }>({
    name: 'count_missed',
    text: `select coalesce(sum(count_missed(status, $2, $3)), 0)::int as missed
      from unnest(case $1 when 'fresh' then array['pending'] else array['failed', 'processing'] end) as status`,
    values: [lane, lease.reconnectedAt, lease.graceMs],
  })
  return rows[0]?.missed ?? 0
}
