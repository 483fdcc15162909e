import { createHash } from 'node:crypto'
import { createClient } from 'graphql-sse'
import type { Pool } from 'pg'
import t from 'tap'
import { stepJob } from '../../../src/log/write/step-job.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { startService, store, storeDeadLetters, well, type Service } from '../service.ts'
import { dataOf, graphql, refusalOf } from './graphql.ts'

const planning = `mutation ($filter: MessageFilter!, $reason: String!) {
  planReplay(filter: $filter, reason: $reason) {
    __typename
    ... on ReplayPlan {
      id actor reason count outcomeUnknown notReplayable notReplayableBy { reason count } byCause { cause count }
      byPattern { pattern count examples { transactionId } } estimateSeconds(perSecond: 2)
    }
    ... on PlanRefused { refusal text }
  }
}`
const job = `{
  __typename
  ... on ReplayJob {
    id plan kind state resolution actor reason perSecond planned replayed succeeded failedAgain skipped skippedBy { reason count } left
    rate etaSeconds waitsFor stoppedBecause endedAt events { nodes { version type actor reason perSecond } }
  }
  ... on JobRefused { refusal text job { id } }
}`
const starting = `mutation ($plan: ID!, $perSecond: Float, $rampFrom: Float, $stopWhen: StopWhen, $key: String) {
  startReplay(plan: $plan, perSecond: $perSecond, rampFrom: $rampFrom, stopWhen: $stopWhen, idempotencyKey: $key) ${job}
}`

type Result = Record<string, unknown> & { __typename: string; id: string }

async function plan(service: Service, filter: Record<string, unknown> = {}): Promise<Result> {
  const data = await dataOf<{ planReplay: Result }>(service, planning, { filter, reason: 'it is back' })
  return data.planReplay
}

async function start(service: Service, id: string, more: Record<string, unknown> = {}): Promise<Result> {
  return (await dataOf<{ startReplay: Result }>(service, starting, { plan: id, ...more })).startReplay
}

async function steer(service: Service, field: string, id: string, more = ''): Promise<Result> {
  const query = `mutation ($job: ID!) { ${field}(job: $job, reason: "because" ${more}) ${job} }`
  return (await dataOf<Record<string, Result>>(service, query, { job: id }))[field]!
}

const step = (pool: Pool, id: string) =>
  stepJob(pool, id, { actor: 'instance-1/jobs', room: 100, leaseMs: 60_000 })

t.test('a plan tells what it chose, and its job what became of it', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  t.match(await plan(service), {
    __typename: 'PlanRefused',
    refusal: 'NOTHING',
    text: 'No open dead letter meets the filter.',
  })
  await storeDeadLetters(pool, ['tx-1', 'tx-2'])
  await store(pool, ['record:transactions.incoming:0:2'], { rejection: 'The value is not JSON.' })
  const planned = await plan(service)
  t.match(planned, {
    __typename: 'ReplayPlan',
    actor: 'anonymous',
    reason: 'it is back',
    count: '3',
    outcomeUnknown: '0',
    notReplayable: '1',
    notReplayableBy: [{ reason: 'REJECTED_RECORD', count: '1' }],
    byCause: [
      { cause: 'REFUSED', count: '2' },
      { cause: 'REJECTED_RECORD', count: '1' },
    ],
    byPattern: [{ pattern: 'HTTP 422', count: '2', examples: [{ transactionId: 'tx-2' }] }, { count: '1' }],
    estimateSeconds: 1,
  })
  const { id } = planned
  t.match(await start(service, id, { perSecond: 100, stopWhen: { failedShare: 0.5, after: 10 }, key: 'k' }), {
    __typename: 'ReplayJob',
    id,
    plan: id,
    kind: 'REPLAY',
    state: 'RUNNING',
    actor: 'anonymous',
    reason: 'it is back',
    perSecond: 100,
    planned: '3',
    replayed: '0',
    skipped: '1',
    left: '2',
    events: { nodes: [{ version: 1, type: 'STARTED', perSecond: 100 }] },
  })
  await until('both to be replayed', async () => {
    await step(pool, id)
    const { rows } = await pool.query(`select from messages where status = 'pending'`)
    return rows.length === 2
  })
  t.match(await steer(service, 'pauseReplay', id), { state: 'PAUSED', replayed: '2', left: '0' })
  t.match(await steer(service, 'changePace', id, ', perSecond: 5'), { state: 'PAUSED', perSecond: 5 })
  t.match(await steer(service, 'resumeReplay', id), { state: 'RUNNING' })
  t.match(await steer(service, 'abortReplay', id), { state: 'ABORTED', endedAt: String })
  t.match(await steer(service, 'resumeReplay', id), {
    __typename: 'JobRefused',
    refusal: 'WRONG_STATE',
    text: 'The job is aborted: this cannot be done now.',
    job: { id },
  })
  const found = await dataOf<{ replayJob: Result; replayJobs: { nodes: Result[] } }>(
    service,
    `query ($id: ID!) { replayJob(id: $id) { events { nodes { version type } } } replayJobs(first: 5) { nodes { id } pageInfo { hasNextPage } } }`,
    { id },
  )
  t.match(found.replayJob, {
    events: {
      nodes: ['STARTED', 'PAUSED', 'PACE_CHANGED', 'RESUMED', 'ABORTED'].map((type, at) => ({
        version: at + 1,
        type,
      })),
    },
  })
  t.match(found.replayJobs, { nodes: [{ id }], pageInfo: { hasNextPage: false } })
  const history = await dataOf(
    service,
    `{ message(transactionId: "tx-1") { history { type actor reason job } } }`,
  )
  t.match(
    JSON.stringify(history),
    `"type":"REPLAYED","actor":"anonymous","reason":"it is back","job":"${id}"`,
  )
})

t.test('lists of jobs and of events go on after a cursor', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  const [first, second] = [(await plan(service)).id, (await plan(service)).id]
  await start(service, first)
  await start(service, second)
  const page = `query ($after: String) { replayJobs(first: 1, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } } }`
  type Page = {
    replayJobs: { nodes: { id: string }[]; pageInfo: { endCursor: string; hasNextPage: boolean } }
  }
  const newest = (await dataOf<Page>(service, page)).replayJobs
  t.match(newest, { nodes: [{ id: second }], pageInfo: { hasNextPage: true } })
  const older = (await dataOf<Page>(service, page, { after: newest.pageInfo.endCursor })).replayJobs
  t.match(older, { nodes: [{ id: first }], pageInfo: { hasNextPage: false } })
  t.match(await refusalOf(service, page, { after: 'nonsense' }), { code: 'CURSOR_INVALID' })
  const events = `query ($id: ID!, $after: String) {
    replayJob(id: $id) { events(first: 1, after: $after) { edges { cursor node { type } } } } }`
  type Events = { replayJob: { events: { edges: { cursor: string }[] } } }
  const began = await dataOf<Events>(service, events, { id: first })
  const after = began.replayJob.events.edges[0]!.cursor
  t.match(await dataOf(service, events, { id: first, after }), { replayJob: { events: { edges: [] } } })
  t.match(await graphql(service, events, { id: second, after }), { data: { replayJob: { events: null } } })
})

t.test('a plan is started once, and what cannot be is refused in words', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  const { id } = await plan(service)
  const refusal = (name: string) => ({ __typename: 'JobRefused', refusal: name, text: String })
  t.match(await start(service, '999'), refusal('PLAN_UNKNOWN'))
  t.match(await start(service, 'nonsense'), refusal('PLAN_UNKNOWN'))
  t.match(await start(service, id, { key: 'k' }), { __typename: 'ReplayJob' })
  t.match(await start(service, id, { key: 'k' }), { __typename: 'ReplayJob', id })
  t.match(await start(service, id, { key: 'k', perSecond: 1 }), { ...refusal('KEY_REUSED'), job: { id } })
  t.match(await start(service, id), { ...refusal('ALREADY_STARTED'), job: { id } })
  t.match(await steer(service, 'pauseReplay', '999'), refusal('JOB_UNKNOWN'))
  t.match(await steer(service, 'pauseReplay', 'nonsense'), refusal('JOB_UNKNOWN'))
  t.match(await dataOf(service, '{ replayJob(id: "nonsense") { id } }'), { replayJob: null })
  for (const more of [
    { perSecond: 0 },
    { rampFrom: 5 },
    { perSecond: 5, rampFrom: 6 },
    { stopWhen: { failedShare: 0, after: 5 } },
    { stopWhen: { failedShare: 0.5, after: 0 } },
    { key: '' },
  ])
    t.match(await refusalOf(service, starting, { plan: id, ...more }), { code: 'BAD_USER_INPUT' })
  t.match(await refusalOf(service, planning, { filter: {}, reason: '' }), { code: 'BAD_USER_INPUT' })
  const replay = `mutation { replay(transactionId: "tx-1", reason: "r", idempotencyKey: "replay-job:1") { __typename } }`
  t.match(await refusalOf(service, replay), { code: 'BAD_USER_INPUT' })
  const byRest = await service.call('POST', '/replay/tx-1', {
    headers: { 'idempotency-key': 'replay-job:1' },
  })
  t.equal(byRest.status, 400)
})

t.test('a plan is resolved as a whole, rejected records too', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1', 'tx-2'])
  await store(pool, ['record:transactions.incoming:0:2'], { rejection: 'The value is not JSON.' })
  const { id } = await plan(service)
  const resolving = `mutation ($plan: ID!) { resolveMany(plan: $plan, as: IGNORED, reason: "a test of the bank") ${job} }`
  t.match(await dataOf(service, resolving, { plan: id }), {
    resolveMany: {
      kind: 'RESOLVE',
      resolution: 'IGNORED',
      reason: 'a test of the bank',
      left: '3',
      skipped: '0',
    },
  })
  await until('the job to be done', async () => (await step(pool, id)).state === 'done')
  const open = await dataOf(service, '{ messages(filter: { resolved: false }) { nodes { transactionId } } }')
  t.match(open, { messages: { nodes: [] } })
  t.match(await dataOf(service, resolving, { plan: id }), { resolveMany: { refusal: 'ALREADY_STARTED' } })
})

t.test('only an operator plans, starts and steers, and a viewer may look', async (t) => {
  const { pool } = await database(t)
  const sha256 = createHash('sha256').update('look').digest('hex')
  const viewer = await startService(t, pool, () => well, {
    tokens: [{ name: 'vera', role: 'viewer', sha256 }] as never,
    open: false,
    introspection: true,
  })
  const headers = { authorization: 'Bearer look' }
  const refused = { code: 'FORBIDDEN' }
  t.match(await refusalOf(viewer, planning, { filter: {}, reason: 'r' }, headers), refused)
  t.match(await refusalOf(viewer, starting, { plan: '1' }, headers), refused)
  for (const field of ['pauseReplay', 'resumeReplay', 'abortReplay'])
    t.match(
      await refusalOf(viewer, `mutation { ${field}(job: "1", reason: "r") { __typename } }`, {}, headers),
      refused,
    )
  const resolving = 'mutation { resolveMany(plan: "1", as: IGNORED, reason: "r") { __typename } }'
  t.match(await refusalOf(viewer, resolving, {}, headers), refused)
  t.match(await dataOf(viewer, '{ replayJobs { nodes { id } } }', {}, headers), { replayJobs: { nodes: [] } })
})

t.test('a subscription tells how a job stands, from before its start on', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  const { id } = await plan(service)
  const client = createClient({ url: `http://127.0.0.1:${service.port}/graphql`, retryAttempts: 0 })
  t.teardown(() => client.dispose())
  const heard: (string | null)[] = []
  client.subscribe<{ replayJob: { state: string; replayed: string } | null }>(
    { query: 'subscription ($id: ID!) { replayJob(id: $id) { state replayed } }', variables: { id } },
    {
      next: ({ data }) => {
        const told = data?.replayJob
        heard.push(told == null ? null : `${told.state} ${told.replayed}`)
      },
      error: (error) => heard.push(`failed: ${String(error)}`),
      complete: () => undefined,
    },
  )
  await until('the first value', () => heard.length === 1)
  await start(service, id)
  service.jobChanges.give()
  await until('the start', () => heard.length === 2)
  await step(pool, id)
  service.jobChanges.give()
  await until('the replay', () => heard.length === 3)
  // A hint that nothing has changed behind tells nothing.
  service.jobChanges.give()
  await steer(service, 'pauseReplay', id)
  service.jobChanges.give()
  await until('the pause', () => heard.length === 4)
  t.strictSame(heard, [null, 'RUNNING 0', 'RUNNING 1', 'PAUSED 1'])
})
