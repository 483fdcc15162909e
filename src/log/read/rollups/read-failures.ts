import type { Pool } from 'pg'
import type { MessageId } from '../../../message/message.ts'
import { rfc3339 } from '../rfc3339.ts'
import type { Minutes } from './measures.ts'

/** A pattern of failures, how often it came, and messages that it hit. `count` is decimal digits, `lastAt` RFC 3339. */
export type FailureReason = {
  readonly pattern: string
  readonly count: string
  readonly lastAt: string
  readonly examples: readonly MessageId[]
}

// Examples are looked for only after the patterns are chosen. They come from the last three minutes in which the pattern came.
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

/** Reads why attempts failed and records were rejected in these minutes, the most frequent pattern first. */
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
