import { readJob, type ReplayJob as Job } from '../../../log/read/read-jobs.ts'
import type { JobState } from '../../../message/replay-job.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { JobRefusal } from '../enums.ts'
import { ReplayJob } from './job.ts'

export type JobRefused = {
  readonly refusal:
    'plan_unknown' | 'plan_expired' | 'already_started' | 'key_reused' | 'job_unknown' | 'wrong_state'
  /** Of the plan or the job that was named. */
  readonly id: string
  /** Of a job in the wrong state. */
  readonly state?: JobState
}

const JobRefusedType = builder.objectRef<JobRefused>('JobRefused').implement({
  description: 'Nothing was recorded.',
  fields: (t) => ({
    refusal: t.expose('refusal', { type: JobRefusal, description: 'Why.' }),
    text: t.string({ description: 'A sentence for people.', resolve: explain }),
    job: t.field({
      type: ReplayJob,
      nullable: true,
      description: 'The job that was named, or that the plan has; null if there is none.',
      resolve: ({ refusal, id }, _, { dependencies }) =>
        refusal.endsWith('_unknown') ? null : ask(dependencies.database, (client) => readJob(client, id)),
    }),
  }),
})

export const JobResult = builder.unionType('JobResult', {
  description: 'May grow: keep a default branch.',
  types: [ReplayJob, JobRefusedType],
  resolveType: (result) => ('refusal' in result ? JobRefusedType : ReplayJob),
})

/** The job as it stands after a decision. */
export async function findJob(id: string, { dependencies }: GraphContext): Promise<Job> {
  const job = await ask(dependencies.database, (client) => readJob(client, id))
  if (job === null) throw new Error(`job ${id} is gone`)
  return job
}

function explain({ refusal, state }: JobRefused): string {
  switch (refusal) {
    case 'plan_unknown':
      return 'There is no such plan; one that nobody starts is removed after an hour.'
    case 'plan_expired':
      return 'The plan is older than an hour: plan again.'
    case 'already_started':
      return 'The plan has a job already.'
    case 'key_reused':
      return 'This idempotencyKey was used to start the job with other arguments.'
    case 'job_unknown':
      return 'There is no such job.'
    case 'wrong_state':
      return `The job is ${state}: this cannot be done now.`
  }
}
