import type { Pool } from 'pg'
import type { Resolution } from '../../message/message.ts'
import type { JobKind, JobState, StopWhen } from '../../message/replay-job.ts'
import type { Counted, SkipReason } from './read-plan.ts'
import { rfc3339 } from './rfc3339.ts'

/** A job as it stands. Counts are decimal digits, times RFC 3339. */
export type ReplayJob = {
  /** The number of its plan. */
  readonly id: string
  /** Of its last event. */
  readonly version: number
  readonly kind: JobKind
  readonly resolution: Resolution | null
  readonly state: JobState
  readonly actor: string
  readonly reason: string
  /** Replays a second; null for no bound. */
  readonly perSecond: number | null
  readonly stopWhen: StopWhen | null
  readonly planned: string
  /** Replayed, or resolved. */
  readonly replayed: string
  /** How the first attempt after the replay ended. */
  readonly succeeded: string
  readonly failedAgain: string
  readonly skipped: readonly Counted<SkipReason>[]
  /** Replays a second, as last measured; null if it is not known. */
  readonly rate: number | null
  readonly waitsFor: string | null
  readonly stoppedBecause: string | null
  readonly startedAt: string
  readonly endedAt: string | null
}

const columns = `j.job as id, s.version, j.kind, j.resolution,
  case when s.state = 'running' and s.waits_for is not null then 'waiting' else s.state end as state,
  j.actor, j.reason, s.per_second as "perSecond",
  case when j.stop_after is not null then jsonb_build_object('failedShare', j.stop_share, 'after', j.stop_after) end as "stopWhen",
  p.dead_letters as planned, s.replayed, s.succeeded, s.failed_again as "failedAgain",
  (select coalesce(jsonb_agg(jsonb_build_object('key', k.key, 'count', k.value) order by k.value::bigint desc, k.key), '[]')
    from jsonb_each_text(s.skipped) k) as skipped,
  s.rate, s.waits_for as "waitsFor", s.stopped_because as "stoppedBecause",
  ${rfc3339('j.started_at')} as "startedAt", ${rfc3339('s.ended_at')} as "endedAt"`
const tables = `replay_jobs j
  join replay_job_states s on s.job = j.job
  join replay_plans p on p.plan = j.job`

/** Reads these jobs, in any order. An unknown number has no row. */
export async function readJobs(database: Pick<Pool, 'query'>, ids: readonly string[]): Promise<ReplayJob[]> {
  const { rows } = await database.query<ReplayJob>({
    name: 'read_jobs',
    text: `select ${columns} from ${tables} where j.job = any ($1::bigint[])`,
    values: [ids],
  })
  return rows
}

/** Reads one job; null if there is none of this number. */
export async function readJob(database: Pick<Pool, 'query'>, id: string): Promise<ReplayJob | null> {
  const [job] = await readJobs(database, [id])
  return job ?? null
}

/**
 * Lists the jobs, newest first.
 *
 * @param before only jobs with a lower number; null for all
 */
export async function listJobs(
  database: Pick<Pool, 'query'>,
  before: string | null,
  rowsMax: number,
): Promise<ReplayJob[]> {
  const { rows } = await database.query<ReplayJob>({
    name: 'list_jobs',
    text: `select ${columns} from ${tables} where j.job < coalesce($1::bigint, 9223372036854775807)
      order by j.job desc limit $2`,
    values: [before, rowsMax],
  })
  return rows
}

/** Lists the numbers of the jobs that have something to do. */
export async function listActiveJobs(database: Pick<Pool, 'query'>): Promise<string[]> {
  const { rows } = await database.query<{ job: string }>({
    name: 'list_active_jobs',
    text: 'select job from replay_job_states where is_active order by job',
  })
  return rows.map(({ job }) => job)
}

/** Counts the jobs that have not ended, by state. */
export async function countOpenJobs(
  database: Pick<Pool, 'query'>,
): Promise<Partial<Record<JobState, number>>> {
  const { rows } = await database.query<{ state: JobState; count: number }>({
    name: 'count_open_jobs',
    text: `select case when state = 'running' and waits_for is not null then 'waiting' else state end as state, count(*)::int as count
      from replay_job_states where state in ('running', 'paused', 'stopped') group by 1`,
  })
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]))
}

export type JobEvent = {
  readonly job: string
  /** Counts from 1 for each job. */
  readonly version: number
  readonly recordedAt: string
  readonly type: 'started' | 'paused' | 'resumed' | 'pace_changed' | 'stopped' | 'aborted' | 'done'
  readonly actor: string
  readonly reason: string
  readonly perSecond: number | null
}

/**
 * Lists what was decided about a job, oldest first.
 *
 * @param after only events with a higher version; null for all
 */
export async function listJobEvents(
  database: Pick<Pool, 'query'>,
  job: string,
  after: number | null,
  rowsMax: number,
): Promise<JobEvent[]> {
  const { rows } = await database.query<JobEvent>({
    name: 'list_job_events',
    text: `select job, version, ${rfc3339('recorded_at')} as "recordedAt", type, actor, reason, per_second as "perSecond"
      from replay_job_events where job = $1 and version > coalesce($2::int, 0) order by version limit $3`,
    values: [job, after, rowsMax],
  })
  return rows
}
