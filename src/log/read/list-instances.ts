import type { Pool } from 'pg'
import { rfc3339 } from './rfc3339.ts'

export type KnownInstance = {
  readonly name: string
  /** Null where it is not in the log, which it is before it writes anything. */
  readonly release: string | null
  /** RFC 3339 in UTC with six digits; null as above. */
  readonly startedAt: string | null
  /** Whether it has a LISTEN session on this server now: it runs, unless it is frozen. */
  readonly isListening: boolean
}

/**
 * Lists the instances that have a LISTEN session now, and those that are named, in the order of their starts.
 *
 * @param names of instances that may have none any more
 */
export async function listInstances(
  database: Pick<Pool, 'query'>,
  names: readonly string[],
): Promise<KnownInstance[]> {
  const { rows } = await database.query<KnownInstance>({
    name: 'list_instances',
    text: `select n.name, i.release, ${rfc3339('i.started_at')} as "startedAt", n.name = any (l.names) as "isListening"
      from (select listening_instances() as names) l
      cross join lateral (select distinct u.name from unnest(l.names || $1::text[]) as u(name)) n
      left join instances i on i.instance = n.name
      order by i.started_at, n.name`,
    values: [names],
  })
  return rows
}
