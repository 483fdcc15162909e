import type { Pool } from 'pg'
import { rfc3339 } from '../rfc3339.ts'
import type { Minutes } from './measures.ts'

const statement = {
  name: 'read_minutes',
  text: `with range as (
      select coalesce($2::timestamptz, statement_timestamp() + interval '1 microsecond') as until
    ),
    edges as (
      select date_bin('1 minute', coalesce($1::timestamptz, until - $3 * interval '1 second'), 'epoch') as first,
        date_bin('1 minute', until - interval '1 microsecond', 'epoch') as last
      from range
    )
    select ${rfc3339('first')} as first, ${rfc3339('last')} as last,
      (extract(epoch from last - first) / 60)::float8 + 1 as count
    from edges`,
}

/**
 * Returns the whole minutes that the time from `from` to before `to` touches. Without `to` the end is now, by the database's
 * clock. Without `from` the start lies `lastSeconds` before the end. `count` is 0 or below if `to` is not after `from`.
 */
export async function readMinutes(
  database: Pick<Pool, 'query'>,
  from: string | null,
  to: string | null,
  lastSeconds: number,
): Promise<Minutes> {
  const { rows } = await database.query<Minutes>({ ...statement, values: [from, to, lastSeconds] })
  const row = rows[0]
  if (row === undefined) throw new Error('the minutes are one row')
  return row
}
