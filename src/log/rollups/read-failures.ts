import type { Pool } from 'pg'
import type { MessageId } from '../../message/message.ts'
import { rfc3339 } from '../rfc3339.ts'
import type { Minutes } from './measures.ts'

/** `count` is decimal digits, `lastAt` RFC 3339. */
export type FailureReason = {
  readonly pattern: string
  readonly count: string
  readonly lastAt: string
  readonly examples: readonly MessageId[]
}

const statement = {
  name: 'read_failures',
  text: `select f.pattern, f.n::text as count, ${rfc3339('f.last_at')} as last_at, f.examples
    from (
      select r.pattern, sum(r.n) as n, max(r.last_at) as last_at, example_ids(r.examples) as examples
      from read_failures($1, $2) r
      group by r.pattern
    ) f
    order by f.n desc, f.pattern
    limit $3`,
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
