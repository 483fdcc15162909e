import type { Pool } from 'pg'
import { rfc3339 } from './rfc3339.ts'

export type Pulse = {
  /** For how many seconds the longest overdue message or lease has waited; 0 if none waits. */
  oldestDueAgeSeconds: number
  /** Since when it is due; null if none waits. RFC 3339. */
  oldestDueAt: string | null
  /** Since when the message waits that has been pending longest; null if none is pending. RFC 3339. */
  oldestPendingAt: string | null
  /**
   * For how many seconds the oldest open writing transaction of the cluster has held the watermark back; 0 if none does. A role
   * without `pg_read_all_stats` sees only its own transactions.
   */
  watermarkAgeSeconds: number
}

// A lease is checked within a second after its end. One that ended that long ago is checked by nobody.
const uncheckedSeconds = 30

// One step into the index for each status. A minimum over both would read every entry. Leases that have ended are few.
const statement = {
  name: 'read_pulse',
  text: `with earliest as (
      select waiting.status, next.due_at
      from unnest(array['pending', 'failed']) as waiting (status)
      cross join lateral (
        select s.due_at from message_states s
        where s.queue = waiting.status and s.due_at is not null order by s.due_at, s.message_id limit 1
      ) next
      union all
      select 'processing', min(s.lease_ends_at)
      from overdue_attempts o
      join message_states s
        on s.message_id = o.message_id and s.status = 'processing' and s.lease_ends_at = o.lease_ends_at
      union all
      select 'processing', min(c.lease_ends_at)
      from lease_checks c where c.lease_ends_at < clock_timestamp() - interval '${uncheckedSeconds} seconds'
    ),
    oldest as (
      select min(due_at) filter (where due_at <= clock_timestamp()) as due_at,
        min(due_at) filter (where status = 'pending') as pending_at
      from earliest
    )
    select
      coalesce((select extract(epoch from clock_timestamp() - due_at)::float8 from oldest), 0) as oldest_due_age_seconds,
      (select ${rfc3339('due_at')} from oldest) as oldest_due_at,
      (select ${rfc3339('pending_at')} from oldest) as oldest_pending_at,
      coalesce((
        select extract(epoch from clock_timestamp() - min(open.since))::float8
        from (
          select xact_start as since from pg_stat_activity where backend_xid is not null
          union all
          select prepared from pg_prepared_xacts
        ) open
      ), 0) as watermark_age_seconds`,
}

/** Reads how far the service is behind. Alarms are built on this. */
export async function readPulse(database: Pick<Pool, 'query'>): Promise<Pulse> {
  const { rows } = await database.query<{
    oldest_due_age_seconds: number
    oldest_due_at: string | null
    oldest_pending_at: string | null
    watermark_age_seconds: number
  }>(statement)
  const row = rows[0]
  if (row === undefined) throw new Error('the pulse is one row')
  // A clock that was set back would make these negative.
  return {
    oldestDueAgeSeconds: Math.max(0, row.oldest_due_age_seconds),
    oldestDueAt: row.oldest_due_at,
    oldestPendingAt: row.oldest_pending_at,
    watermarkAgeSeconds: Math.max(0, row.watermark_age_seconds),
  }
}
