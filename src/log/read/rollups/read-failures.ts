import type { Pool } from 'pg'
import type { MessageId } from '../../../message/message.ts'
import { rfc3339 } from '../rfc3339.ts'
import type { Minutes } from './measures.ts'

/**
 * A pattern of failures, how often it came, and messages that it hit. `count` and `trend` are decimal digits, times RFC 3339.
 * `firstAt` is where the first minute of the range with it begins; `trend` counts it in each twelfth of the range, oldest first.
 */
export type FailureReason = {
  readonly pattern: string
  readonly count: string
  readonly firstAt: string
  readonly lastAt: string
  readonly trend: readonly string[]
  readonly examples: readonly MessageId[]
}

// Where whole hours or days are kept, a piece may begin before the range does.
// Examples are looked for only after the patterns are chosen. They come from the last three minutes in which the pattern came.
const statement = {
  name: 'read_failures',
  text: `with piece as materialized (
      select minute, pattern, n, last_at, examples from read_failures($1, $2)
    ),
    top as (
      select pattern, sum(n) as n, greatest(min(minute), $1::timestamptz) as first_at, max(last_at) as last_at from piece
      group by pattern having sum(n) > 0 order by sum(n) desc, pattern limit $3
    ),
    latest as (
      select pattern, examples, row_number() over (partition by pattern order by minute desc) as place
      from piece join top using (pattern)
    )
    select pattern, t.n::text as count, ${rfc3339('t.first_at')} as first_at, ${rfc3339('t.last_at')} as last_at,
      array(
        select coalesce(sum(p.n), 0)::text
        from generate_series(0, 11) as part (at)
        left join piece p on p.pattern = t.pattern and part.at =
          case when isfinite($1::timestamptz) and isfinite($2::timestamptz) then greatest(0, floor(
            12 * (extract(epoch from p.minute) - extract(epoch from $1::timestamptz))
            / (extract(epoch from $2::timestamptz) + 60 - extract(epoch from $1::timestamptz))))::int
          else 0 end
        group by part.at order by part.at
      ) as trend,
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
    first_at: string
    last_at: string
    trend: string[]
    examples: MessageId[]
  }>({ ...statement, values: [first, last, rowsMax] })
  return rows.map(({ first_at, last_at, ...row }) => ({ ...row, firstAt: first_at, lastAt: last_at }))
}
