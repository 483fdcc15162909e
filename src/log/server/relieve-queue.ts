import type { Pool } from 'pg'

/** PostgreSQL's queue of notifications. All databases of a cluster share it. */
export type NotifyQueue = {
  /** The part that is in use, from 0 to 1. At 1 PostgreSQL refuses every commit that notifies, and so every event of ours. */
  usage: number
  /**
   * The session with the oldest open transaction. If such a session listens, the queue keeps all that was notified since. Null
   * if none is seen. A role without `pg_read_all_stats` sees only its own sessions.
   */
  holder: { pid: number; application: string; state: string; openSeconds: number } | null
}

/** From this part on the queue counts as filling up. PostgreSQL warns in its own log from here on, too. */
export const usageHigh = 0.5

/**
 * Reads how full the queue is. The same call makes PostgreSQL free the part that no listener needs any more. Otherwise only a
 * notification that finds room does so, and a full queue would stay full after the session that held it has ended.
 */
export async function relieveQueue(database: Pick<Pool, 'query'>): Promise<NotifyQueue> {
  const { rows } = await database.query<QueueRow>({
    name: 'relieve_queue',
    text: `select q.usage, a.pid, a.application, a.state, a.open_seconds
      from pg_notification_queue_usage() as q(usage)
      left join lateral (
        select pid, application_name as application, state,
          round(extract(epoch from clock_timestamp() - xact_start))::int as open_seconds
        from pg_stat_activity
        where q.usage >= $1 and backend_type = 'client backend' and xact_start is not null and pid <> pg_backend_pid()
        order by xact_start limit 1
      ) a on true`,
    values: [usageHigh],
  })
  const [row] = rows
  if (row === undefined) throw new Error('the queue of notifications is one row')
  const { usage, pid, application, state, open_seconds: openSeconds } = row
  return { usage, holder: pid === null ? null : { pid, application, state, openSeconds } }
}

type QueueRow = {
  usage: number
  pid: number | null
  application: string
  state: string
  open_seconds: number
}

/** Says in one sentence, for an operator, how full the queue is and which session holds it. */
export function explainQueue({ usage, holder }: NotifyQueue): string {
  const full = `PostgreSQL's queue of notifications is ${Math.round(usage * 100)} % full, because a session that listens keeps its transaction open`
  if (holder === null) return `${full}.`
  const { pid, application, state, openSeconds } = holder
  return `${full}. The oldest transaction is that of session ${pid} (${application}, ${state} for ${openSeconds} s): end this session.`
}
