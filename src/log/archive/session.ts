import type pg from 'pg'
import { rfc3339 } from '../read/rfc3339.ts'

/** Takes the lock that one run at a time holds; it ends with the session. Returns false if another session holds it. */
export async function lockArchiving(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    `select pg_try_advisory_lock(hashtextextended('archive', 0)) as locked`,
  )
  return rows[0]?.locked === true
}

/** Returns whether this role owns the log, and may detach its segments; null if the database does not hold the log. */
export async function ownsLog(client: pg.Client): Promise<boolean | null> {
  const { rows } = await client.query<{ owns: boolean }>(
    `select pg_has_role(c.relowner, 'usage') as owns from pg_class c where c.oid = to_regclass('public.message_events')`,
  )
  return rows[0]?.owns ?? null
}

/** What tells one log from another. It stays the same over a failover, a restore and an upgrade of the server. */
export type LogIdentity = {
  /** When the log was made, in RFC 3339 with six digits: its first epoch. */
  readonly began_at: string
  /** The cluster that it is in now. For people: a restored log is in another one. */
  readonly system_identifier: string
}

export async function readIdentity(client: pg.ClientBase): Promise<LogIdentity> {
  const { rows } = await client.query<LogIdentity>(
    `select ${rfc3339('e.recorded_at')} as began_at, c.system_identifier::text
     from log_epochs e cross join pg_control_system() c order by e.epoch limit 1`,
  )
  if (rows[0] === undefined) throw new Error('the identity of a log is one row')
  return rows[0]
}

/** The database's clock. */
export async function readNow(client: pg.Client): Promise<Date> {
  const { rows } = await client.query<{ now: Date }>('select clock_timestamp() as now')
  if (rows[0] === undefined) throw new Error('the clock is one row')
  return rows[0].now
}
