import { builder } from '../builder.ts'
import { isBigint } from '../cursor.ts'
import { refuse } from '../errors.ts'
import { ReplayJob } from '../jobs/job.ts'

builder.subscriptionField('replayJob', (t) =>
  t.field({
    type: ReplayJob,
    nullable: true,
    description:
      'Now (null until its plan is started), then at each decision, and once a second while its counts change; the latest wins.',
    args: {
      id: t.arg.id({ required: true, description: 'The number of the job, which is that of its plan.' }),
    },
    subscribe: (_, { id }, { streams, client }) => {
      if (!isBigint(id)) throw refuse('BAD_USER_INPUT', 'The id of a job is a whole number.')
      return streams.job(client, id)
    },
    resolve: (job) => job,
  }),
)
