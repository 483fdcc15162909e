import type { Pool } from 'pg'
import type { JobState } from '../../message/replay-job.ts'
import { namedCall } from './named-call.ts'

export type JobStep = {
  /** `elsewhere`: another instance runs the job. */
  state: JobState | 'elsewhere'
  /** When to come again; null for not at all. */
  dueInMs: number | null
  /** How many messages this step replayed or resolved, and how many it skipped. */
  worked: number
  passed: number
  /** Why the job stopped, or waits. */
  reason: string | null
}

export type Runner = {
  /** Names the instance that runs the job. */
  actor: string
  /** The room of the fresh lane: a tenth of it is the job's. */
  room: number
  /** Another instance takes the job over when this one has made no step for so long. */
  leaseMs: number
}

/** Makes one step of a job: one transaction and one round trip. migrations/functions/write/step_job.sql says what it does. */
export async function stepJob(
  database: Pick<Pool, 'query'>,
  job: string,
  { actor, room, leaseMs }: Runner,
): Promise<JobStep> {
  const call = namedCall('step_job', {
    in_job: job,
    in_runner: actor,
    in_room: room,
    in_runner_ms: leaseMs,
  })
  const { rows } = await database.query<JobStep>({
    name: 'step_job',
    text: `select state, due_in_ms as "dueInMs", worked, passed, reason from ${call.text}`,
    values: call.values,
  })
  const [row] = rows
  if (row === undefined) throw new Error('step_job() answered no row')
  return row
}
