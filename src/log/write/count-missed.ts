import type { Pool } from 'pg'
import type { LaneName } from '../../message/message.ts'
import type { Lease } from './lease.ts'

/**
 * What a lane should have taken more than ten seconds ago.
 *
 * - `missed`: how many messages, up to a thousand of each status that it waits for.
 * - `isHeldUp`: whether there are some that are not counted, because there may be a reason: the pace of the destination, or an instance that is
 *   not gone and ends its attempts by itself.
 */
export type Missed = { readonly missed: number; readonly isHeldUp: boolean }

export async function countMissed(database: Pool, lane: LaneName, lease: Lease): Promise<Missed> {
  const { rows } = await database.query<Missed>({
    name: 'count_missed',
    text: `select coalesce(sum(c.missed), 0)::int as missed, bool_or(c.missed is null) as "isHeldUp"
      from unnest(case $1 when 'fresh' then array['pending'] else array['failed', 'processing'] end) as status
      cross join lateral count_missed(status, $2, $3) as c (missed)`,
    values: [lane, lease.reconnectedAt, lease.graceMs],
  })
  return rows[0] ?? { missed: 0, isHeldUp: false }
}
