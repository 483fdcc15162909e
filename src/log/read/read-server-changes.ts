import type { Pool } from 'pg'
import { rfc3339 } from './rfc3339.ts'

/** What happened to the server that the log is on: failovers and restores. */
export type ServerChanges = {
  readonly changes: number
  /** Changes after which the log ended before something that had been seen in it. */
  readonly losses: number
  /** Outcomes of attempts that such a change took out of the log. They wait until Kafka hands their payments over again. */
  readonly strays: number
  readonly last: LastChange | null
}

/** Times are RFC 3339 in UTC with six digits. Positions are bigints as text, null if they are not known. */
type LastChange = {
  readonly noticed_at: string
  readonly actor: string
  readonly from_system_identifier: string
  readonly from_timeline: number
  readonly from_position: string | null
  readonly system_identifier: string
  readonly timeline: number
  readonly position: string
  /** Commits after this instant may be missing. */
  readonly lost_after: string | null
}

const statement = {
  name: 'read_server_changes',
  text: `select
      (select count(*)::int from server_changes where from_timeline is not null) as changes,
      (select count(*)::int from server_changes where from_position > position) as losses,
      (select count(*)::int from stray_outcomes) as strays,
      (select to_json(l) from (
          select ${rfc3339('recorded_at')} as noticed_at, actor, from_system_identifier, from_timeline,
            from_position::text, system_identifier, timeline, position::text, ${rfc3339('lost_after')} as lost_after
          from server_changes where from_timeline is not null order by epoch desc limit 1
        ) l) as last`,
}

/** Counts the changes of the server, and reads the last one. */
export async function readServerChanges(database: Pick<Pool, 'query'>): Promise<ServerChanges> {
  const { rows } = await database.query<ServerChanges>(statement)
  const [row] = rows
  if (row === undefined) throw new Error('what is known of the server is one row')
  return row
}
