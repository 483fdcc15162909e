import type { Pool } from 'pg'

/** PostgreSQL's queue of notifications, which all databases of a cluster share. */
export type NotifyQueue = {
  /** The part of it that is in use, from 0 to 1. At 1 every commit that notifies is refused, and with it every event of ours. */
  usage: number
  /**
   * The session with the oldest open transaction: a listener among such sessions keeps what was notified since. Null if none is
   * seen; a role that may not read the statistics of others (`pg_read_all_stats`) sees only its own.
   */
  holder: { pid: number; application: string; state: string; openSeconds: number } | null
}

/** From here on PostgreSQL warns too, in its own log. */
export const usageHigh = 0.5

/**
 * Says how full the queue is, and has PostgreSQL give back what no listener needs any more: only a notification that finds room
 * does so otherwise, so that a full queue stays full when its holder is long gone.
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

/** A sentence for an operator. */
export function explainQueue({ usage, holder }: NotifyQueue): string {
  const full = `PostgreSQL's queue of notifications is ${Math.round(usage * 100)} % full: a session that listens stays in its transaction`
  if (holder === null) return `${full}.`
  const { pid, application, state, openSeconds } = holder
  return `${full}; the oldest is session ${pid} (${application}, ${state} for ${openSeconds} s). End it.`
}
