import { listJobs, readJob, type ReplayJob as Job } from '../../../log/read/read-jobs.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import { decodeNumberCursor, encodeNumberCursor, isBigint } from '../cursor.ts'
import { PageInfo, type PageInfoValue } from '../page-info.ts'
import { describePage, readPageRequest } from '../page-request.ts'
import { ReplayJob } from './job.ts'

const limits = { rowsDefault: 20, rowsMax: 200 }
const list = 'jobs'

const ReplayJobEdge = builder.objectRef<Job>('ReplayJobEdge').implement({
  description: 'A job and its place in the list.',
  fields: (t) => ({
    cursor: t.string({
      description: 'Ask for the jobs after it, which are older.',
      resolve: ({ id }) => encodeNumberCursor(list, id),
    }),
    node: t.field({ type: ReplayJob, description: 'The job.', resolve: (job) => job }),
  }),
})

type JobPage = { readonly jobs: readonly Job[]; readonly pageInfo: PageInfoValue }

const ReplayJobConnection = builder.objectRef<JobPage>('ReplayJobConnection').implement({
  description: 'A page of jobs, newest first.',
  fields: (t) => ({
    edges: t.field({
      type: [ReplayJobEdge],
      description: 'The jobs with their cursors.',
      resolve: ({ jobs }) => [...jobs],
    }),
    nodes: t.field({ type: [ReplayJob], description: 'The jobs alone.', resolve: ({ jobs }) => [...jobs] }),
    pageInfo: t.expose('pageInfo', { type: PageInfo, description: 'Where the page ends.' }),
  }),
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
    resolve: async (_, page, { dependencies }) => {
      const request = readPageRequest(page, limits, (text) => decodeNumberCursor(text, list))
      // One more than is shown says whether there is another page.
      const found = await ask(dependencies.database, (client) =>
        listJobs(client, request.after, request.rowsMax + 1),
      )
      const jobs = found.slice(0, request.rowsMax)
      const [start, end] = [jobs[0], jobs.at(-1)].map((each) =>
        each === undefined ? null : encodeNumberCursor(list, each.id),
      )
      return {
        jobs,
        pageInfo: describePage(request, {
          start: start ?? null,
          end: end ?? null,
          hasMore: found.length > request.rowsMax,
        }),
      }
    },
  }),
)
