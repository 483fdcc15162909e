import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { createClient as createSseClient } from 'graphql-sse'
import { CloseCode, createClient as createWsClient, type Client } from 'graphql-ws'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import type { Access } from '../../../src/api/access.ts'
import {
  openAttempts,
  pendingMessage,
  settleOne,
  accepted,
  fresh,
  startAttempt,
  typesOf,
} from '../../log/support.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { startService, well, type Service } from '../service.ts'
import { hearEvents } from './support.ts'

type EventAnswer = {
  data?: {
    messageEvents: { cursor: string; node: { id: string; type: string } | null; caughtUp: boolean }
  } | null
  errors?: readonly { message: string; extensions?: { code?: string } }[]
}

const eventsQuery = `subscription Events($after: String, $filter: EventFilter) {
  messageEvents(after: $after, filter: $filter, positionsEverySeconds: 60) { cursor caughtUp node { id type } }
}`

async function serveEvents(
  t: Test,
  access?: Access,
): Promise<Service & { pool: Awaited<ReturnType<typeof database>>['pool'] }> {
  const { url, pool } = await database(t)
  const service = await startService(t, pool, () => well, access)
  const heard = await hearEvents(t, url)
  t.teardown(heard.on(() => service.events.give()))
  return { ...service, pool }
}

function connectSocket(
  t: Test,
  port: number,
  options: Partial<Parameters<typeof createWsClient>[0]> = {},
): Client {
  const client = createWsClient({
    url: `ws://127.0.0.1:${port}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    ...options,
  })
  t.teardown(() => client.dispose())
  return client
}

t.test("graphql-ws' client gets events, and resumes after its last cursor", async (t) => {
  const { pool, port } = await serveEvents(t)
  const client = connectSocket(t, port)
  const first = client.iterate({ query: eventsQuery }) as AsyncIterableIterator<EventAnswer>
  const place = (await next(first)).data!.messageEvents
  t.match(place, { node: null, caughtUp: true })
  const [messageId] = await openAttempts(pool, 1)
  t.match((await first.next()).value, {
    data: { messageEvents: { node: { id: `${messageId!}:1`, type: 'RECEIVED' } } },
  })
  t.match((await first.next()).value, {
    data: { messageEvents: { node: { id: `${messageId!}:2`, type: 'ATTEMPT_STARTED' } } },
  })
  await first.return!()
  const again = client.iterate({
    query: eventsQuery,
    variables: { after: place.cursor },
  }) as AsyncIterableIterator<EventAnswer>
  await again.next()
  t.match((await again.next()).value, { data: { messageEvents: { node: { id: `${messageId!}:1` } } } })
  await again.return!()
})

t.test(
  "graphql-sse's client gets events in distinct connections, and resumes after its last cursor",
  async (t) => {
    const { pool, port } = await serveEvents(t)
    const client = createSseClient({ url: `http://127.0.0.1:${port}/graphql`, retryAttempts: 0 })
    t.teardown(() => client.dispose())
    const first = client.iterate({ query: eventsQuery }) as AsyncIterableIterator<EventAnswer>
    const place = (await next(first)).data!.messageEvents
    const [messageId] = await openAttempts(pool, 1)
    t.match((await first.next()).value, { data: { messageEvents: { node: { id: `${messageId!}:1` } } } })
    await first.return!()
    const again = client.iterate({
      query: eventsQuery,
      variables: { after: place.cursor },
    }) as AsyncIterableIterator<EventAnswer>
    await again.next()
    t.match((await again.next()).value, { data: { messageEvents: { node: { id: `${messageId!}:1` } } } })
    t.match((await again.next()).value, { data: { messageEvents: { node: { id: `${messageId!}:2` } } } })
    await again.return!()
  },
)

t.test('plain curl shows events as they come', async (t) => {
  const { pool, port } = await serveEvents(t)
  const curl = spawn('curl', [
    '-sN',
    '-H',
    'Accept: text/event-stream',
    '-H',
    'Content-Type: application/json',
    '-d',
    JSON.stringify({ query: eventsQuery }),
    `http://127.0.0.1:${port}/graphql`,
  ])
  t.teardown(() => curl.kill())
  const lines: string[] = []
  createInterface({ input: curl.stdout }).on('line', (line) => lines.push(line))
  await until('the first place', () => lines.some((line) => line.startsWith('data: ')))
  t.strictSame(lines.slice(0, 3), [':', '', 'event: next'])
  const [messageId] = await openAttempts(pool, 1)
  await until('the events', () => lines.some((line) => line.includes(`"${messageId!}:2"`)))
})

t.test('an EventSource can subscribe by GET', async (t) => {
  const { port } = await serveEvents(t)
  const query = new URLSearchParams({ query: eventsQuery })
  const over = new AbortController()
  const response = await fetch(`http://127.0.0.1:${port}/graphql?${query.toString()}`, {
    headers: { Accept: 'text/event-stream' },
    signal: over.signal,
  })
  t.match(response, { status: 200 })
  t.equal(response.headers.get('content-type'), 'text/event-stream')
  const chunk = await response.body!.getReader().read()
  t.equal(
    Buffer.from(chunk.value as Uint8Array)
      .toString()
      .slice(0, 3),
    ':\n\n',
  )
  over.abort()
})

t.test('a message is told now, null before it is received, and at every change', async (t) => {
  const { pool, port } = await serveEvents(t)
  const client = connectSocket(t, port)
  const query = 'subscription Watch($id: ID!) { message(transactionId: $id) { status version attempts } }'
  type State = { data: { message: { status: string; version: number } | null } }
  const nobody = client.iterate({ query, variables: { id: 'nobody' } }) as AsyncIterableIterator<State>
  t.strictSame((await nobody.next()).value, { data: { message: null } })
  const messageId = await pendingMessage(pool)
  const { rows } = await pool.query<{ transaction_id: string }>('select transaction_id from message_states')
  const changes = client.iterate({
    query,
    variables: { id: rows[0]!.transaction_id },
  }) as AsyncIterableIterator<State>
  t.match((await changes.next()).value, { data: { message: { status: 'PENDING', version: 1 } } })
  await startAttempt(pool, messageId, fresh)
  t.match((await changes.next()).value, { data: { message: { status: 'PROCESSING', version: 2 } } })
  await settleOne(pool, fresh, messageId, 1, accepted)
  t.match((await changes.next()).value, { data: { message: { status: 'SUCCESS', version: 3 } } })
  t.strictSame(await typesOf(pool, messageId), ['received', 'attempt_started', 'succeeded'])
})

t.test('metrics come at once and then every so often, computed once for all who ask the same', async (t) => {
  const { pool, port } = await serveEvents(t)
  await pendingMessage(pool)
  const client = connectSocket(t, port)
  const query = 'subscription { metrics(everyMs: 250) { at counts { pending total } } }'
  type Answer = { data: { metrics: { at: string; counts: { total: string } } } }
  const subscribers = Array.from(
    { length: 5 },
    () => client.iterate({ query }) as AsyncIterableIterator<Answer>,
  )
  const answers = await Promise.all(
    subscribers.map(async (each) => [await next(each), await next(each), await next(each)]),
  )
  for (const [first, second, third] of answers) {
    t.match(first, { data: { metrics: { counts: { pending: '1', total: '1' } } } })
    t.ok(first!.data.metrics.at < second!.data.metrics.at && second!.data.metrics.at < third!.data.metrics.at)
  }
  const moments = new Set(answers.flat().map(({ data }) => data.metrics.at))
  t.ok(moments.size < 15, `${moments.size} computations for 15 answers`)
  for (const everyMs of [249, 60_001, -1])
    t.equal(await codeOf(client.iterate({ query: query.replace('250', String(everyMs)) })), 'BAD_USER_INPUT')
})

t.test(
  'a forged cursor, one of another log and a recordedAt are refused with their codes on both transports',
  async (t) => {
    const { port } = await serveEvents(t)
    const socket = connectSocket(t, port)
    const stream = createSseClient({ url: `http://127.0.0.1:${port}/graphql`, retryAttempts: 0 })
    t.teardown(() => stream.dispose())
    const cursor = (text: string) => Buffer.from(text).toString('base64url')
    const cases = [
      [{ after: 'forged' }, 'CURSOR_INVALID'],
      [{ after: cursor('l1:1:9000000000000000000:0:0') }, 'CURSOR_INVALID'],
      [{ after: cursor('l1:9:1:0:0') }, 'CURSOR_EPOCH'],
      [{ filter: { recordedAt: { from: '2026-01-01T00:00:00Z' } } }, 'BAD_USER_INPUT'],
      [{ filter: { types: [] } }, 'BAD_USER_INPUT'],
    ] as const
    for (const [variables, code] of cases) {
      t.equal(await codeOf(socket.iterate({ query: eventsQuery, variables })), code, `${code} over WebSocket`)
      t.equal(await codeOf(stream.iterate({ query: eventsQuery, variables })), code, `${code} over SSE`)
    }
  },
)

t.test(
  'a socket is let in by the token of its request or of its first message, and by no other',
  async (t) => {
    const token = 'a-token-for-tests'
    const tokens = [
      { name: 'alice', role: 'viewer' as const, sha256: createHash('sha256').update(token).digest('hex') },
    ]
    const { port } = await serveEvents(t, { tokens, open: false, introspection: true })
    const query = '{ viewer { name role } }'
    const welcome = connectSocket(t, port, { connectionParams: { Authorization: `Bearer ${token}` } })
    t.strictSame((await welcome.iterate({ query }).next()).value, {
      data: { viewer: { name: 'alice', role: 'VIEWER' } },
    })
    class WithHeader extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol, { headers: { Authorization: `Bearer ${token}` } })
      }
    }
    const byHeader = connectSocket(t, port, { webSocketImpl: WithHeader })
    t.match((await byHeader.iterate({ query }).next()).value, { data: { viewer: { name: 'alice' } } })
    for (const connectionParams of [{}, { Authorization: 'Bearer another' }]) {
      const refused = connectSocket(t, port, { connectionParams })
      await t.rejects(refused.iterate({ query }).next(), { code: CloseCode.Forbidden })
    }
  },
)

t.test('a page of another origin gets no socket', async (t) => {
  const { port } = await serveEvents(t)
  const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws', {
    origin: 'http://evil.example',
  })
  const error = await new Promise<Error>((resolve) => socket.on('error', resolve))
  t.match(error.message, '403')
  // Any other route ignores the wish, and answers as ever.
  const elsewhere = new WebSocket(`ws://127.0.0.1:${port}/metrics`, 'graphql-transport-ws')
  t.match((await new Promise<Error>((resolve) => elsewhere.on('error', resolve))).message, '200')
})

t.test(
  'a socket carries operations with the same limits as HTTP, and no message that is too large',
  async (t) => {
    const { port } = await serveEvents(t)
    const client = connectSocket(t, port)
    const aliases = Array.from({ length: 200 }, (_, at) => `a${at}: viewer { name }`).join(' ')
    await t.rejects(client.iterate({ query: `{ ${aliases} }` }).next())
    await t.rejects(
      client.iterate({ query: '{ viewer {' }).next(),
      'a document that does not parse is an error of its own',
    )
    t.match(
      (await client.iterate({ query: '{ viewer { name } }' }).next()).value,
      { data: { viewer: {} } },
      'the socket lives on',
    )
    const large = connectSocket(t, port)
    await t.rejects(large.iterate({ query: `{ viewer { name } } #${'x'.repeat(1_000_000)}` }).next(), {
      code: 1009,
    })
  },
)

t.test('a socket carries a hundred subscriptions at once and no more', async (t) => {
  const { port } = await serveEvents(t)
  const client = connectSocket(t, port)
  const open = Array.from({ length: 100 }, () => client.iterate({ query: eventsQuery }))
  await Promise.all(open.map((each) => each.next()))
  t.equal(await codeOf(client.iterate({ query: eventsQuery })), 'TOO_MANY_SUBSCRIPTIONS')
})

t.test('when the server stops, subscribers are told to come again, and nothing is left open', async (t) => {
  const { port, close } = await serveEvents(t)
  const client = connectSocket(t, port)
  const overSocket = client.iterate({ query: eventsQuery })
  const stream = createSseClient({ url: `http://127.0.0.1:${port}/graphql`, retryAttempts: 0 })
  const overSse = stream.iterate({ query: eventsQuery })
  await Promise.all([overSocket.next(), overSse.next()])
  // One that never answers a close.
  const deaf = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws')
  await new Promise((resolve) => deaf.on('open', resolve))
  deaf.pause()
  const ends = [codeOf(overSocket), codeOf(overSse)]
  await close()
  t.strictSame(await Promise.all(ends), ['DRAINING', 'DRAINING'])
})

/** What comes next; a stream that ends instead fails the test. */
async function next<Answer>(answers: AsyncIterator<Answer>): Promise<Answer> {
  const result = await answers.next()
  if (result.done === true) throw new Error('it has ended')
  return result.value
}

/** The code of the error that ends it, whichever way the client says so. */
async function codeOf(answers: AsyncIterableIterator<unknown>): Promise<unknown> {
  try {
    for await (const answer of answers) {
      const [error] = (answer as EventAnswer).errors ?? []
      if (error !== undefined) return error.extensions?.code
    }
    return null
  } catch (error) {
    const [first] = Array.isArray(error) ? (error as { extensions?: { code?: string } }[]) : []
    return first?.extensions?.code ?? error
  }
}
