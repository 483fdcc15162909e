import { listJobEvents, type JobEvent, type ReplayJob as Job } from '../../../log/read/read-jobs.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import { connectionOf } from '../connection-of.ts'
import { decodeNumberCursor, encodeNumberCursor } from '../cursor.ts'
import { JobEventType, JobKind, JobState, Resolution } from '../enums.ts'
import { listPage } from '../list-page.ts'
import { SkipCount } from './counted.ts'

const limits = { rowsDefault: 20, rowsMax: 200 }
const intMax = 2_147_483_647n

const ReplayJobEvent = builder.objectRef<JobEvent>('JobEvent').implement({
  description: 'What was decided about a job, by an operator or by the job itself. It stays for ever.',
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'Its number; counts from 1 for each job.' }),
    recordedAt: t.expose('recordedAt', { type: 'DateTime', description: 'When.' }),
    type: t.expose('type', { type: JobEventType, description: 'What was decided.' }),
    actor: t.exposeString('actor', { description: 'The operator, or the instance that ran the job.' }),
    reason: t.exposeString('reason', { description: 'Why.' }),
    perSecond: t.exposeFloat('perSecond', {
      nullable: true,
      description: 'The pace from then on, in messages a second; null for as fast as the room allows.',
    }),
  }),
})

const JobEventConnection = connectionOf('JobEvent', ReplayJobEvent, {
  one: 'event',
  many: 'events',
  edge: 'An event and its place in the list.',
  cursor: 'Ask for the events after it.',
  page: 'A page of the events of a job, oldest first.',
})

export const ReplayJob = builder.objectRef<Job>('ReplayJob').implement({
  description:
    'It replays or resolves what was planned, each message once. Any instance runs it, one at a time. While the dead letters of its plan are worked off, replayed + skipped + left is planned.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its number.' }),
    plan: t.exposeID('id', { description: 'Its plan, which has the same number.' }),
    kind: t.expose('kind', { type: JobKind, description: 'What it does.' }),
    resolution: t.expose('resolution', {
      type: Resolution,
      nullable: true,
      description: 'What it resolves them as; null for a replay.',
    }),
    state: t.expose('state', { type: JobState, description: 'How it stands.' }),
    actor: t.exposeString('actor', { description: 'Who started it; the actor of all its events.' }),
    reason: t.exposeString('reason', { description: "Why: a replay's is that of its plan." }),
    perSecond: t.exposeFloat('perSecond', {
      nullable: true,
      description: 'Its pace, in replays a second; null for as fast as the room allows.',
    }),
    planned: t.expose('planned', { type: 'BigInt', description: 'How many dead letters were planned.' }),
    replayed: t.expose('replayed', {
      type: 'BigInt',
      description: 'How many it has replayed, or resolved.',
    }),
    succeeded: t.expose('succeeded', {
      type: 'BigInt',
      description: 'How many of those that it replayed were accepted by the next attempt.',
    }),
    failedAgain: t.expose('failedAgain', {
      type: 'BigInt',
      description:
        'Of how many the next attempt failed. They are retried like any other, and may succeed later.',
    }),
    skipped: t.field({
      type: 'BigInt',
      description: 'How many it has passed over.',
      resolve: (job) => String(countSkipped(job)),
    }),
    skippedBy: t.field({
      type: [SkipCount],
      description: 'The same by reason, the most frequent first.',
      resolve: ({ skipped }) => [...skipped],
    }),
    left: t.field({
      type: 'BigInt',
      description: 'How many it has not come to yet.',
      resolve: (job) => String(countLeft(job)),
    }),
    rate: t.exposeFloat('rate', {
      nullable: true,
      description: 'Messages a second, as last measured over 2 s or more; null unless it runs.',
    }),
    etaSeconds: t.float({
      nullable: true,
      description: 'How long the rest takes at this rate; null if that cannot be said.',
      resolve: (job) => (job.rate === null || job.rate === 0 ? null : Number(countLeft(job)) / job.rate),
    }),
    waitsFor: t.exposeString('waitsFor', { nullable: true, description: 'WAITING: for what.' }),
    stoppedBecause: t.exposeString('stoppedBecause', {
      nullable: true,
      description: 'STOPPED: why, in words.',
    }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When.' }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was done or aborted.',
    }),
    events: t.field({
      type: JobEventConnection,
      nullable: true,
      description: 'What was decided about it, oldest first. 20 a page by default, at most 200.',
      args: {
        first: t.arg.int({ description: 'So many; at most 200.' }),
        after: t.arg.string({ description: 'Only what comes after this cursor.' }),
      },
      resolve: ({ id }, page, { dependencies }) =>
        listPage(page, {
          limits,
          decode: (text) => decodeNumberCursor(text, id, intMax),
          read: (after, rowsMax) =>
            ask(dependencies.database, (client) =>
              listJobEvents(client, id, after === null ? null : Number(after), rowsMax),
            ),
          encode: ({ version }) => encodeNumberCursor(id, version),
        }),
    }),
  }),
})

function countSkipped({ skipped }: Job): bigint {
  return skipped.reduce((sum, { count }) => sum + BigInt(count), 0n)
}

function countLeft(job: Job): bigint {
  return BigInt(job.planned) - BigInt(job.replayed) - countSkipped(job)
}
