import type { Pool } from 'pg'
import { archivesNow, type LogCursor } from './log-cursor.ts'
import { rfc3339 } from './rfc3339.ts'

export type LogHead = {
  /** Every event that can be read lies before this place, and every later event after it. */
  readonly cursor: LogCursor
  /** What was recorded before this instant is complete: transactions that still write began later. RFC 3339. */
  readonly at: string
  /** For how many seconds the oldest open writing transaction has held the head back; 0 if none does. */
  readonly ageSeconds: number
  /** The server process of this transaction; null if it is not known, or if the transaction is a prepared one. */
  readonly heldByPid: number | null
}

// `at` takes every open transaction of this database into account: one that is about to write may have read the clock and have no
// xid yet. Only transactions with an xid hold the head back. A role without `pg_read_all_stats` sees only its own transactions.
const statement = {
  name: 'read_head',
  text: `with open as materialized (
      select pid, xact_start as since, backend_xid is not null as writes
      from pg_stat_activity
      where xact_start is not null and pid <> pg_backend_pid()
        and (datname = current_database() or backend_xid is not null)
      union all
      select null, prepared, true from pg_prepared_xacts
    ),
    holder as (select pid, since from open where writes order by since limit 1)
    select log_end() as position, (select max(epoch) from log_epochs) as epoch, ${archivesNow} as archives,
      ${rfc3339('least(statement_timestamp(), (select min(since) from open))')} as at,
      greatest(0, coalesce((select extract(epoch from clock_timestamp() - since) from holder), 0))::float8 as age_seconds,
      (select pid from holder) as held_by_pid`,
}

/** Reads where the readable log ends now, and what holds it back. */
export async function readHead(database: Pick<Pool, 'query'>): Promise<LogHead> {
  const { rows } = await database.query<{
    position: string
    epoch: number
    archives: number
    at: string
    age_seconds: number
    held_by_pid: number | null
  }>(statement)
  const row = rows[0]
  if (row === undefined) throw new Error('the head is one row')
  return {
    cursor: { epoch: row.epoch, position: row.position, messageId: '0', version: 0, archives: row.archives },
    at: row.at,
    ageSeconds: row.age_seconds,
    heldByPid: row.held_by_pid,
  }
}
