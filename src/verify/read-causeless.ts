import type pg from 'pg'
import type { ArchivedSegment, Archives } from './archives.ts'

/**
 * The segments, of those whose archives were given, that the rollups have no causes of open dead letters of: an earlier release archived
 * them, and what counts the causes of the others at an upgrade finds them in no table. A segment without open dead letters may be among them.
 */
export async function readCauseless(client: pg.Client, { given }: Archives): Promise<ArchivedSegment[]> {
  const { rows } = await client.query<{ segment: number }>(
    `select u.segment from unnest($1::int[]) as u(segment)
    where not exists (
      select from archived_rollups r
      where r.segment = u.segment and r.minute = '-infinity' and r.measure like 'open\\_dead\\_letter\\_%'
    )`,
    [given.map(({ segment }) => segment)],
  )
  const causeless = new Set(rows.map(({ segment }) => segment))
  return given.filter(({ segment }) => causeless.has(segment))
}
