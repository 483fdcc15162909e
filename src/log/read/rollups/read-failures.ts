import type { Pool } from 'pg'
import type { MessageId } from '../../../message/message.ts'
import { rfc3339 } from '../rfc3339.ts'
import type { Minutes } from './measures.ts'

/** `count` is decimal digits, `lastAt` RFC 3339. */
export type FailureReason = {
  readonly pattern: string
  readonly count: string
  readonly lastAt: string
  readonly examples: readonly MessageId[]
}

// Examples are looked for only once it is known which reasons are told: they are those of the last three minutes it came in.
const statement = {
  name: 'read_failures',
  text: `with piece as materialized (
      select minute, pattern, n, last_at, examples from read_failures($1, $2)
    ),
    top as (
      select pattern, sum(n) as n, max(last_at) as last_at from piece
      group by pattern having sum(n) > 0 order by sum(n) desc, pattern limit $3
    ),
    latest as (
      select pattern, examples, row_number() over (partition by pattern order by minute desc) as place
      from piece join top using (pattern)
    )
    select pattern, t.n::text as count, ${rfc3339('t.last_at')} as last_at,
      array(
        select distinct e.id from latest l cross join lateral unnest(l.examples) as e (id)
        where l.pattern = t.pattern and l.place <= 3 order by e.id desc limit 3
      ) as examples
    from top t
    order by t.n desc, pattern`,
}

/** Why attempts failed and records were rejected in these minutes, the most frequent first. */
export async function readFailures(
  database: Pick<Pool, 'query'>,
  { first, last }: Minutes,
  rowsMax: number,
): Promise<FailureReason[]> {
  const { rows } = await database.query<{
    pattern: string
    count: string
    last_at: string
    examples: MessageId[]
  }>({ ...statement, values: [first, last, rowsMax] })
  return rows.map(({ pattern, count, last_at, examples }) => ({ pattern, count, lastAt: last_at, examples }))
}
