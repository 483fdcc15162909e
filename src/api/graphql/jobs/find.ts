import { listJobs, readJob } from '../../../log/read/read-jobs.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import { connectionOf } from '../connection-of.ts'
import { decodeNumberCursor, encodeNumberCursor, isBigint } from '../cursor.ts'
import { listPage } from '../list-page.ts'
import { ReplayJob } from './job.ts'

const limits = { rowsDefault: 20, rowsMax: 200 }
const list = 'jobs'

const ReplayJobConnection = connectionOf('ReplayJob', ReplayJob, {
  one: 'job',
  many: 'jobs',
  edge: 'A job and its place in the list.',
  cursor: 'Ask for the jobs after it, which are older.',
  page: 'A page of jobs, newest first.',
})

builder.queryField('replayJob', (t) =>
  t.field({
    type: ReplayJob,
    nullable: true,
    description: 'One job; null if there is none of this number.',
    args: {
      id: t.arg.id({ required: true, description: 'The number of the job, which is that of its plan.' }),
    },
    resolve: (_, { id }, { dependencies }) =>
      isBigint(id) ? ask(dependencies.database, (client) => readJob(client, id)) : null,
  }),
)

builder.queryField('replayJobs', (t) =>
  t.field({
    type: ReplayJobConnection,
    description: 'All jobs, newest first. 20 a page by default, at most 200.',
    args: {
      first: t.arg.int({ description: 'So many; at most 200.' }),
      after: t.arg.string({ description: 'Only what comes after this cursor, which is older.' }),
    },
    resolve: (_, page, { dependencies }) =>
      listPage(page, {
        limits,
        decode: (text) => decodeNumberCursor(text, list),
        read: (after, rowsMax) => ask(dependencies.database, (client) => listJobs(client, after, rowsMax)),
        encode: ({ id }) => encodeNumberCursor(list, id),
      }),
  }),
)
