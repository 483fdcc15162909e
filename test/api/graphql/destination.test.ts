import { createClient } from 'graphql-sse'
import t from 'tap'
import { createHash } from 'node:crypto'
import type { Access } from '../../../src/api/access.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { hearDecisions, hold } from '../destination.ts'
import { connectThroughProxy, startService, store, well, type Service } from '../service.ts'
import { dataOf, graphql, refusalOf } from './graphql.ts'

const asking = `query ($name: String! = "default") {
  destination(name: $name) {
    name url state since cause actor reason until nextProbeAt held room limit consecutiveFailures
  }
}`

const result = `{
  __typename
  ... on DestinationChanged { name decision state destination { state reason } }
  ... on DestinationRefusal { name text destination { state actor } }
  ... on AlreadyPaused { actor since reason until }
  ... on UntilPassed { state }
  ... on NotStopped { state }
}`
const pausing = `mutation ($name: String! = "default", $reason: String!, $until: DateTime) {
  pauseDestination(name: $name, reason: $reason, until: $until) ${result}
}`
const resuming = `mutation ($name: String! = "default", $reason: String!) {
  resumeDestination(name: $name, reason: $reason) ${result}
}`

type Result = Record<string, unknown> & { __typename: string }
type Standing = Record<string, unknown>

async function pause(service: Service, reason: string, more: Record<string, unknown> = {}): Promise<Result> {
  const data = await dataOf<{ pauseDestination: Result }>(service, pausing, { reason, ...more })
  return data.pauseDestination
}

async function resume(service: Service, reason: string, more: Record<string, unknown> = {}): Promise<Result> {
  const data = await dataOf<{ resumeDestination: Result }>(service, resuming, { reason, ...more })
  return data.resumeDestination
}

async function standing(service: Service): Promise<Standing> {
  return (await dataOf<{ destination: Standing }>(service, asking)).destination
}

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/

t.test('a destination about which nothing was decided flows', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await store(pool, ['waits'])
  const { since, ...rest } = await standing(service)
  t.match(since, time)
  t.strictSame(rest, {
    name: 'default',
    url: 'https://processor.test/process',
    state: 'FLOWING',
    cause: null,
    actor: null,
    reason: null,
    until: null,
    nextProbeAt: null,
    held: '0',
    room: 55,
    limit: 55,
    consecutiveFailures: 0,
  })
  t.strictSame(
    await dataOf(service, '{ destinations { name state } destination { decisions { nodes { decision } } } }'),
    {
      destinations: [{ name: 'default', state: 'FLOWING' }],
      destination: { decisions: { nodes: [] } },
    },
  )
  t.strictSame(await dataOf(service, asking, { name: 'no such' }), { destination: null })
})

t.test(
  'it is paused once, the next one is told by whom and since when, and it is resumed once',
  async (t) => {
    const { pool } = await database(t)
    const service = await startService(t, pool)
    await store(pool, ['waits-1', 'waits-2'])
    t.strictSame(await resume(service, 'too early'), {
      __typename: 'NotStopped',
      name: 'default',
      text: 'There is nothing to resume: destination default is flowing.',
      destination: { state: 'FLOWING', actor: null },
      state: 'FLOWING',
    })
    t.strictSame(await pause(service, 'an upgrade', { until: '2999-01-01T00:00:00+01:00' }), {
      __typename: 'DestinationChanged',
      name: 'default',
      decision: 1,
      state: 'PAUSED',
      destination: { state: 'PAUSED', reason: 'an upgrade' },
    })
    const { since, ...rest } = await standing(service)
    t.match(since, time)
    t.match(rest, {
      state: 'PAUSED',
      cause: 'OPERATOR',
      actor: 'anonymous',
      reason: 'an upgrade',
      until: '2998-12-31T23:00:00.000000Z',
      nextProbeAt: null,
      held: '2',
    })
    t.strictSame(await pause(service, 'mine'), {
      __typename: 'AlreadyPaused',
      name: 'default',
      text: `Destination default is paused since ${String(since)}, by anonymous: an upgrade`,
      destination: { state: 'PAUSED', actor: 'anonymous' },
      actor: 'anonymous',
      since,
      reason: 'an upgrade',
      until: '2998-12-31T23:00:00.000000Z',
    })
    t.match(await resume(service, 'all is well'), {
      __typename: 'DestinationChanged',
      decision: 2,
      state: 'RAMPING',
    })
    t.match(await resume(service, 'all is well'), {
      __typename: 'NotStopped',
      state: 'RAMPING',
      text: /^There is nothing to resume: destination default is ramping since .*Z, by anonymous: all is well$/,
      destination: { state: 'RAMPING', actor: 'anonymous' },
    })
    await until('the refusals in the log', () => service.lines.length === 3)
    t.match(service.lines, [
      { event: 'steering refused', action: 'resume', operator: 'anonymous', answer: 'not_stopped' },
      { event: 'steering refused', action: 'pause', destination: 'default', answer: 'already_paused' },
      { event: 'steering refused', action: 'resume', answer: 'not_stopped' },
    ])
  },
)

t.test('of two operators who pause at once one does, and the other is told of the first', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all([pause(service, 'first'), pause(service, 'second')])
    const changed = answers.find((each) => each.__typename === 'DestinationChanged')
    const refused = answers.find((each) => each.__typename === 'AlreadyPaused')
    t.ok(changed && refused, JSON.stringify(answers))
    t.equal(refused?.reason, answers[0] === changed ? 'first' : 'second')
    const resumed = await Promise.all([resume(service, 'first'), resume(service, 'second')])
    t.strictSame(resumed.map((each) => each.__typename).sort(), ['DestinationChanged', 'NotStopped'])
  }
  const { rows } = await pool.query('select from destination_decisions')
  t.equal(rows.length, 20)
})

t.test('a pause that would be over already is refused, and nothing is recorded', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const past = { until: '2020-01-01T00:00:00Z' }
  t.match(await pause(service, 'late', past), {
    __typename: 'UntilPassed',
    state: 'FLOWING',
    text: /later time/,
  })
  t.equal((await pool.query('select from destination_decisions')).rowCount, 0)
  t.match(await pause(service, 'in time'), { __typename: 'DestinationChanged' })
  t.match(await pause(service, 'late', past), { __typename: 'AlreadyPaused', reason: 'in time' })
})

t.test('a hold of the guard is shown with its counts, and an operator ends it', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await hold(pool, ['failed-1', 'failed-2'])
  const held = await standing(service)
  t.match(held, {
    state: 'HELD',
    cause: 'FAILURES',
    actor: 'instance-1/guard',
    reason: '2 failures in a row, the last one: HTTP 503',
    until: null,
    nextProbeAt: time,
    held: '2',
    consecutiveFailures: 0,
  })
  t.match(await resume(service, 'it is mended'), { __typename: 'DestinationChanged', state: 'RAMPING' })
  t.strictSame(
    await dataOf(
      service,
      '{ destination { nextProbeAt decisions { nodes { decision state cause actor failures refusals probes until } } } }',
    ),
    {
      destination: {
        nextProbeAt: null,
        decisions: {
          nodes: [
            {
              ...{ decision: 2, state: 'RAMPING', cause: 'OPERATOR', actor: 'anonymous' },
              ...{ failures: 0, refusals: 0, probes: 0, until: null },
            },
            {
              ...{ decision: 1, state: 'HELD', cause: 'FAILURES', actor: 'instance-1/guard' },
              ...{ failures: 2, refusals: 0, probes: 0, until: null },
            },
          ],
        },
      },
    },
  )
})

t.test('the decisions are paged from the newest to the oldest', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  for (const round of ['1', '2', '3']) {
    await pause(service, `pause ${round}`)
    await resume(service, `resume ${round}`)
  }
  const paging = `query ($first: Int, $after: String) { destination { decisions(first: $first, after: $after) {
    edges { cursor node { reason } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }`
  type Page = {
    edges: { cursor: string; node: { reason: string } }[]
    pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string; endCursor: string }
  }
  const read = async (variables: Record<string, unknown>): Promise<Page> =>
    (await dataOf<{ destination: { decisions: Page } }>(service, paging, variables)).destination.decisions
  const reasons: string[] = []
  let after: string | null = null
  for (let more = true; more;) {
    const { edges, pageInfo }: Page = await read({ first: 4, after })
    t.equal(pageInfo.hasPreviousPage, after !== null)
    t.equal(pageInfo.startCursor, edges[0]?.cursor)
    t.equal(pageInfo.endCursor, edges.at(-1)?.cursor)
    reasons.push(...edges.map(({ node }) => node.reason))
    after = pageInfo.endCursor
    more = pageInfo.hasNextPage
  }
  t.strictSame(reasons, ['resume 3', 'pause 3', 'resume 2', 'pause 2', 'resume 1', 'pause 1'])
  for (const cursor of ['x', '', 'ZDE6eDox', `${String(after)}A`])
    t.equal(
      (await graphql(service, paging, { after: cursor })).errors?.[0]?.extensions?.code,
      'CURSOR_INVALID',
    )
  t.equal((await graphql(service, paging, { first: 201 })).errors?.[0]?.extensions?.code, 'BAD_USER_INPUT')
})

t.test('a name that there is not changes nothing, whatever it holds', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  for (const name of ['other', '', 'default ', 'de\0fault', '\ud800', 'x'.repeat(100_000)]) {
    t.match(await pause(service, 'x', { name }), {
      __typename: 'DestinationNotFound',
      name,
      text: /no destination/,
    })
    t.match(await resume(service, 'x', { name }), { __typename: 'DestinationNotFound' })
    t.strictSame(await dataOf(service, asking, { name }), { destination: null })
  }
  t.equal((await pool.query('select from destination_decisions')).rowCount, 0)
})

t.test('a reason must be a line of at most 2,048 bytes', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  for (const reason of [
    '',
    '  ',
    'a\nb',
    'a\0b',
    '\u001b[2J',
    '\ud800',
    'x'.repeat(2_049),
    'x'.repeat(400_000),
  ]) {
    for (const mutation of [pausing, resuming])
      t.match(await refusalOf(service, mutation, { reason }), {
        code: 'BAD_USER_INPUT',
        message: /1 to 2048 bytes/,
      })
  }
  // More than any request may have.
  const big = await service.call('POST', '/graphql', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: pausing, variables: { reason: 'x'.repeat(1_048_576) } }),
  })
  t.equal(big.status, 413)
  t.match(await refusalOf(service, pausing, { reason: 'x', until: 'tomorrow' }), { message: /DateTime/ })
  t.equal((await pool.query('select from destination_decisions')).rowCount, 0)
  t.match(await pause(service, 'Ж'.repeat(1_024)), { __typename: 'DestinationChanged' })
})

t.test('a viewer looks, and an operator acts under the name of the token', async (t) => {
  const { pool } = await database(t)
  const tokens = (['viewer', 'operator'] as const).map((role) => ({
    ...{ name: `the-${role}`, role },
    sha256: createHash('sha256').update(role).digest('hex'),
  }))
  const access: Access = { tokens, open: false, introspection: true }
  const service = await startService(t, pool, () => well, access)
  const as = (role: string) => ({ authorization: `Bearer ${role}` })
  for (const mutation of [pausing, resuming])
    t.match(await refusalOf(service, mutation, { reason: 'x' }, as('viewer')), {
      code: 'FORBIDDEN',
      message: /an operator is needed/,
    })
  t.equal((await pool.query('select from destination_decisions')).rowCount, 0)
  t.match(await dataOf(service, pausing, { reason: 'x' }, as('operator')), {
    pauseDestination: { __typename: 'DestinationChanged' },
  })
  t.match(await dataOf(service, asking, {}, as('viewer')), {
    destination: { state: 'PAUSED', actor: 'the-operator' },
  })
})

t.test('without the database it is said that the pause may have been recorded', async (t) => {
  const { url } = await database(t)
  const { pool, proxy } = await connectThroughProxy(t, url)
  const service = await startService(t, pool)
  await proxy.stop()
  for (const mutation of [pausing, resuming])
    t.match(await refusalOf(service, mutation, { reason: 'x' }), {
      code: 'DATABASE_UNAVAILABLE',
      message: /may have been recorded all the same: look at the destination first/,
    })
})

t.test(
  'a subscription tells how it stands, then each decision, also after a lost LISTEN session',
  async (t) => {
    const { url, pool } = await database(t)
    const service = await startService(t, pool)
    const cut = await hearDecisions(t, { url, pool }, service)
    const client = createClient({ url: `http://127.0.0.1:${service.port}/graphql`, retryAttempts: 0 })
    t.teardown(() => client.dispose())
    const heard: string[] = []
    const watch = (): void => {
      client.subscribe<{ destination: { state: string; reason: string | null; held: string } }>(
        { query: 'subscription { destination { state reason held } }' },
        {
          next: ({ data }) => heard.push(`${data?.destination.state} ${data?.destination.reason}`),
          error: (error) => heard.push(`failed: ${String(error)}`),
          complete: () => undefined,
        },
      )
    }
    watch()
    await until('the first value', () => heard.length === 1)
    await hold(pool, ['failed-1', 'failed-2'])
    await until('the hold', () => heard.length === 2)
    await resume(service, 'one')
    await until('the resume', () => heard.length === 3)
    await pause(service, 'two')
    await until('the pause', () => heard.length === 4)
    await resume(service, 'three')
    await until('the second resume', () => heard.length === 5)
    t.strictSame(heard, [
      'FLOWING null',
      'HELD 2 failures in a row, the last one: HTTP 503',
      'RAMPING one',
      'PAUSED two',
      'RAMPING three',
    ])
    // A hint that nothing was decided behind tells nothing; the pause that follows it is the next value.
    service.destinationChanges.give()
    await cut()
    await pause(service, 'while nobody listened')
    await until('the pause', () => heard.length === 6)
    t.equal(heard[5], 'PAUSED while nobody listened')
  },
)

t.test('a subscription goes on after an outage of the database', async (t) => {
  const { url, pool: direct } = await database(t)
  const { pool, proxy } = await connectThroughProxy(t, url)
  const service = await startService(t, pool)
  await hearDecisions(t, { url, pool: direct }, service)
  const client = createClient({ url: `http://127.0.0.1:${service.port}/graphql`, retryAttempts: 0 })
  t.teardown(() => client.dispose())
  const heard: string[] = []
  client.subscribe<{ destination: { state: string } }>(
    { query: 'subscription { destination { state } }' },
    {
      next: ({ data }) => heard.push(String(data?.destination.state)),
      error: (error) => heard.push(`failed: ${String(error)}`),
      complete: () => undefined,
    },
  )
  await until('the first value', () => heard.length === 1)
  await proxy.refuse(true)
  proxy.cut()
  await direct.query(`select from pause_destination('default', 'bob', 'behind its back')`)
  service.destinationChanges.give()
  await proxy.refuse(false)
  await until('the pause', () => heard.length === 2)
  t.strictSame(heard, ['FLOWING', 'PAUSED'])
})

t.test('a subscription to a name that there is not is refused', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const reply = await service.call('POST', '/graphql', {
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ query: 'subscription { destination(name: "other") { state } }' }),
  })
  t.match(reply.text, /BAD_USER_INPUT/)
  t.match(reply.text, /no destination of this name/)
})

t.test('a limit is set, changed and taken away, with what it names and who did it', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const set = (args: string) =>
    dataOf<{ setRateLimit: Result }>(
      service,
      `mutation { setRateLimit(reason: "a slow night", ${args}) { __typename ... on DestinationRefusal { text } } }`,
    )
  const limits = async () => {
    const { destination } = await dataOf<{ destination: Standing }>(
      service,
      '{ destination { state cause rateLimit rateBurst throttledRate notBefore decisions { nodes { state cause rateLimit rateBurst } } } }',
    )
    return destination
  }
  t.match(await set('perSecond: 0'), { setRateLimit: { __typename: 'RateUnchanged' } })
  t.match(await set('perSecond: 12.5'), { setRateLimit: { __typename: 'DestinationChanged' } })
  t.match(await limits(), {
    state: 'FLOWING',
    cause: null,
    rateLimit: 12.5,
    rateBurst: 3,
    throttledRate: null,
    notBefore: null,
    decisions: { nodes: [{ state: 'FLOWING', cause: 'RATE', rateLimit: 12.5, rateBurst: 3 }] },
  })
  t.match(await set('perSecond: 12.5'), {
    setRateLimit: {
      __typename: 'RateUnchanged',
      text: /^Destination default has this limit already since .+: a slow night$/,
    },
  })
  t.match(await set('perSecond: 12.5, burst: 1'), { setRateLimit: { __typename: 'DestinationChanged' } })
  t.match(await set('perSecond: 0'), { setRateLimit: { __typename: 'DestinationChanged' } })
  t.match(await limits(), { rateLimit: null, rateBurst: null })
  t.match(await set('name: "other", perSecond: 1'), { setRateLimit: { __typename: 'DestinationNotFound' } })
  for (const args of [
    'perSecond: -1',
    'perSecond: 0.001',
    'perSecond: 1e9',
    'perSecond: 1, burst: 0',
    'perSecond: 0, burst: 1',
  ])
    t.match(
      await refusalOf(service, `mutation { setRateLimit(reason: "why", ${args}) { __typename } }`),
      { code: 'BAD_USER_INPUT' },
      args,
    )
})
