import { createHash } from 'node:crypto'
import { getIntrospectionQuery, GraphQLError } from 'graphql'
import { createSchema, createYoga } from 'graphql-yoga'
import { pino } from 'pino'
import t from 'tap'
import { refuse } from '../../../src/api/graphql/errors.ts'
import { maskError } from '../../../src/api/graphql/mask-error.ts'
import { SubscriptionEnded, type EndReason } from '../../../src/api/stream/subscription-ended.ts'
import { limitTime } from '../../../src/api/graphql/limits/limit-time.ts'
import { database } from '../../support/database.ts'
import { startService, storeDeadLetters, well } from '../service.ts'
import { graphql } from './graphql.ts'

const json = { 'content-type': 'application/json' }
const viewer = JSON.stringify({ query: '{ viewer { name } }' })

t.test('what is too large a question is refused before any of it is executed', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const nested = (levels: number) =>
    `{ message(transactionId: "x") { ${'conflictsWith { '.repeat(levels)} id ${'}'.repeat(levels)} } }`
  const spread = Array.from(
    { length: 50 },
    (_, at) => `fragment f${at} on Message { conflictsWith { ...f${at + 1} } }`,
  )
  const aliases = (count: number) =>
    `{ ${Array.from({ length: count }, (_, at) => `a${at}: viewer { name }`).join(' ')} }`
  const told = async (query: string) => {
    const { data, errors } = await graphql(service, query)
    t.equal(data, undefined)
    return (errors ?? []).map(({ message }) => message).join('\n')
  }
  t.match(await told(nested(50)), /depth limit of 12 exceeded, found 52/)
  t.match(
    await told(
      `{ message(transactionId: "x") { ...f0 } } ${spread.join(' ')} fragment f50 on Message { id }`,
    ),
    /depth limit of 12 exceeded/,
    'by way of fragments too',
  )
  t.match(await told(aliases(1_000)), /more that 2000 tokens/)
  t.match(await told(aliases(51)), /Aliases limit of 50 exceeded/)
  t.match(await told(`{ viewer { name ${'@include(if: true) '.repeat(21)} } }`), /Directives limit of 20/)
  t.match(
    await told('{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }'),
    /Maximum introspection depth exceeded/,
  )
  t.strictSame((await graphql(service, aliases(50))).errors, undefined)
  t.strictSame(service.lines, [], 'none of it is an event of the service')
})

t.test('one request is one operation of at most 512 KiB', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const batch = `[${Array.from({ length: 100 }, () => viewer).join(',')}]`
  const batched = await call('POST', '/graphql', { headers: json, body: batch })
  t.match(batched, { status: 400, text: /Batching is not supported/ })
  t.notMatch(batched.text, 'anonymous')
  const body = JSON.stringify({ query: `{ viewer { name } } # ${'x'.repeat(1_000_000)}` })
  for (const headers of [json, { ...json, 'Transfer-Encoding': 'chunked' }]) {
    t.match(await call('POST', '/graphql', { headers, body }), { status: 413, text: /too large/ })
  }
  const ids = JSON.stringify({
    query: '{ viewer { name } }',
    variables: { ids: Array(1_000).fill('x'.repeat(255)) },
  })
  t.equal(
    (await call('POST', '/graphql', { headers: json, body: ids })).status,
    200,
    'a thousand long ids fit',
  )
})

t.test('what is no question is said to be none', async (t) => {
  const { pool } = await database(t)
  const { call, lines } = await startService(t, pool)
  for (const [body, message] of [
    ['', /invalid JSON/],
    ['{', /invalid JSON/],
    ['null', /expected to be object/],
    ['"{ viewer { name } }"', /expected to be object/],
    ['{}', /Must provide query string/],
    ['{"query": 1}', /Expected "query" param to be a string/],
    ['{"query": "{ viewer { name } }", "more": 1}', /Unexpected parameter "more"/],
  ] as const) {
    const headers = { ...json, accept: 'application/graphql-response+json' }
    const reply = await call('POST', '/graphql', { headers, body })
    t.match([reply.status, JSON.parse(reply.text)], [400, { errors: [{ message }] }], body)
  }
  for (const method of ['PUT', 'DELETE', 'OPTIONS', 'PATCH'])
    t.match(await call(method, '/graphql'), { status: 405, headers: { allow: 'GET, POST' } }, method)
  t.strictSame(lines, [])
})

t.test('a mutation over GET is refused', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const query = encodeURIComponent('mutation { replay(transactionId: "x", reason: "y") { __typename } }')
  t.match(await call('GET', `/graphql?query=${query}`), { status: 405, headers: { allow: 'POST' } })
  const several = encodeURIComponent('query a { viewer { name } } mutation b { __typename }')
  t.equal((await call('GET', `/graphql?query=${several}&operationName=b`)).status, 405)
  t.equal((await call('GET', `/graphql?query=${several}&operationName=a`)).status, 200)
})

t.test('a page of another origin may not ask, nor send what a browser sends unasked', async (t) => {
  const { pool } = await database(t)
  const { call, port } = await startService(t, pool)
  const ask = (headers: Record<string, string>) => call('POST', '/graphql', { headers, body: viewer })
  for (const origin of [
    'https://evil.example',
    'null',
    '',
    `http://127.0.0.1:${port + 1}`,
    `http://127.0.0.1.evil.example:${port}`,
  ]) {
    const reply = await ask({ ...json, origin })
    t.match(reply, { status: 403, text: /another origin/ }, origin)
    t.notOk('access-control-allow-origin' in reply.headers)
  }
  for (const site of ['cross-site', 'same-site']) {
    const query = '/graphql?query=%7Bviewer%7Bname%7D%7D'
    t.equal(
      (await call('GET', query, { headers: { 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors' } })).status,
      403,
    )
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    t.match(await ask({ 'content-type': type }), { status: 415 }, type)
  }
  t.equal((await ask({})).status, 415, 'of no type')
  const preflight = await call('OPTIONS', '/graphql', {
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
  })
  t.notOk('access-control-allow-origin' in preflight.headers)
  t.equal((await ask({ ...json, origin: `http://127.0.0.1:${port}` })).status, 200)
  t.equal((await ask({ 'content-type': 'application/json; charset=utf-8' })).status, 200)
})

t.test(
  'the type of an answer is the one that the client knows, the older one if it does not say',
  async (t) => {
    const { pool } = await database(t)
    const { call } = await startService(t, pool)
    const ask = async (query: string, accept?: string) => {
      const headers = accept === undefined ? json : { ...json, accept }
      const { status, headers: sent } = await call('POST', '/graphql', {
        headers,
        body: JSON.stringify({ query }),
      })
      return [status, sent['content-type']]
    }
    const [old, modern] = ['application/json', 'application/graphql-response+json']
    for (const accept of [undefined, '*/*', old])
      t.strictSame(await ask('{ viewer { name } }', accept), [200, `${old}; charset=utf-8`])
    t.strictSame(await ask('{ viewer { name } }', `${modern}, ${old};q=0.9`), [
      200,
      `${modern}; charset=utf-8`,
    ])
    t.strictSame(await ask('{ nothing }', old), [200, `${old}; charset=utf-8`])
    t.strictSame(await ask('{ nothing }', modern), [400, `${modern}; charset=utf-8`])
    t.strictSame(await ask('{ nothing', modern), [400, `${modern}; charset=utf-8`])
  },
)

t.test('the schema is told to whoever may ask, until a setting says that it is not', async (t) => {
  const { pool } = await database(t)
  const told = await startService(t, pool)
  const silent = await startService(t, pool, () => well, { tokens: [], open: false, introspection: false })
  const query = getIntrospectionQuery({ inputValueDeprecation: true, specifiedByUrl: true, oneOf: true })
  t.match(await graphql(told, query), { data: { __schema: {} } })
  for (const each of [query, '{ __type(name: "Viewer") { name } }']) {
    t.match(await graphql(silent, each), {
      data: undefined,
      errors: [{ message: /introspection has been disabled/ }],
    })
  }
  t.match((await graphql(told, '{ viewer { nam } }')).errors?.[0]?.message, 'Did you mean "name"')
  t.notMatch((await graphql(silent, '{ viewer { nam } }')).errors?.[0]?.message, 'Did you mean')
  t.match(await graphql(silent, '{ __typename viewer { __typename } }'), {
    data: { __typename: 'Query' },
  })
})

t.test('an operation that takes too long is ended, and nothing further of it begins', async (t) => {
  const begun: string[] = []
  const never = new Promise<string>(() => undefined)
  const yoga = createYoga({
    schema: createSchema({
      typeDefs: 'type Query { slow: String } type Mutation { slow: String, next: String }',
      resolvers: {
        Query: { slow: () => never },
        Mutation: {
          slow: () => never,
          next: () => {
            begun.push('next')
          },
        },
      },
    }),
    plugins: [limitTime(20)],
    logging: false,
  })
  for (const query of ['{ slow }', 'mutation { slow next }']) {
    const response = await yoga.fetch('http://localhost/graphql', {
      method: 'POST',
      // Yoga's fetch writes the length into them.
      headers: { ...json },
      body: JSON.stringify({ query }),
    })
    t.match(await response.json(), { errors: [{ extensions: { code: 'TIMEOUT' } }] }, query)
  }
  t.strictSame(begun, [])
})

t.test('an error that was not meant for the client has a name there, and its cause in the log', (t) => {
  const lines: Record<string, unknown>[] = []
  const logger = pino(
    { messageKey: 'event' },
    { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  )
  const cause = new Error('password authentication failed for user "payments"')
  const thrown = new GraphQLError(cause.message, { originalError: cause, path: ['messages'] })
  const masked = maskError(thrown, logger)
  t.match(masked, {
    path: ['messages'],
    extensions: { code: 'INTERNAL_SERVER_ERROR', correlationId: String },
  })
  t.notMatch(JSON.stringify(masked), /payments|password/)
  const id = masked.extensions.correlationId as string
  t.match(masked.message, id)
  t.match(lines, [{ event: 'request failed', error_id: id, err: { message: cause.message } }])
  t.match(maskError('text', logger).message, /^Something went wrong/)
  const meant = refuse('BAD_USER_INPUT', 'first must be 1 to 200.')
  t.equal(maskError(meant, logger), meant)
  t.equal(lines.length, 2, 'and what was meant for it leaves no line')
  t.end()
})

t.test('a client is told why its subscription ended, and the log is not', async (t) => {
  const lines: string[] = []
  const logger = pino({}, { write: (line) => void lines.push(line) })
  const told = (reason: EndReason) => {
    const { message, extensions } = maskError(new SubscriptionEnded(reason), logger)
    return [extensions, message]
  }
  t.strictSame(told({ kind: 'slow' }), [
    { code: 'SLOW_CONSUMER' },
    'Events come faster than this subscriber takes them: subscribe again after its last cursor, or with a filter.',
  ])
  t.strictSame(told({ kind: 'draining' }), [
    { code: 'DRAINING' },
    'This instance is about to stop: subscribe again after the last cursor.',
  ])
  t.strictSame(told({ kind: 'too_many', of: 'client', max: 7 }), [
    { code: 'TOO_MANY_SUBSCRIPTIONS' },
    'A client may have 7 subscriptions at once.',
  ])
  t.strictSame(told({ kind: 'too_many', of: 'instance', max: 7 }), [
    { code: 'TOO_MANY_SUBSCRIPTIONS' },
    'This instance serves 7 subscriptions at once: try again later.',
  ])
  t.match(told({ kind: 'cursor', fault: 'epoch' }), [
    { code: 'CURSOR_EPOCH' },
    /^The log was restored from a copy since this cursor was handed out,/,
  ])
  t.match(told({ kind: 'cursor', fault: 'above' }), [
    { code: 'CURSOR_INVALID' },
    /^The cursor lies above the end of the readable log,/,
  ])
  t.strictSame(lines, [])
})

t.test('what the database says is in the log, under the name that the client is told', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await pool.query('alter table message_states rename to hidden_from_api')
  const answer = await graphql(service, '{ viewer { name } message(transactionId: "tx-1") { id } }')
  t.match(answer.data, { viewer: { name: 'anonymous' }, message: null }, 'and nothing else is blanked')
  const [error] = answer.errors ?? []
  t.match(error, {
    message: /^The database does not answer: try again later\. \([0-9A-Z]{26}\)$/,
    path: ['message'],
    extensions: { code: 'DATABASE_UNAVAILABLE', correlationId: String },
  })
  t.notMatch(JSON.stringify(answer), /message_states|does not exist|42P01/)
  const named = service.lines.filter(({ error_id }) => error_id === error!.extensions!.correlationId)
  t.match(named, [{ event: 'request without the database', reason: /"message_states" does not exist/ }])
})

t.test('a viewer may ask, and may not replay', async (t) => {
  const { pool } = await database(t)
  const sha256 = createHash('sha256').update('victor-secret').digest('hex')
  const service = await startService(t, pool, () => well, {
    tokens: [{ name: 'victor', role: 'viewer', sha256 }],
    open: false,
    introspection: true,
  })
  await storeDeadLetters(pool, ['tx-1'])
  const headers = { authorization: 'Bearer victor-secret' }
  for (const mutation of [
    'mutation { replay(transactionId: "tx-1", reason: "r") { __typename } }',
    'mutation { replayMany(transactionIds: ["tx-1"], reason: "r") { __typename } }',
    'query a { viewer { name } } mutation b { replay(transactionId: "tx-1", reason: "r") { __typename } }',
  ]) {
    const operationName = mutation.startsWith('query') ? 'b' : undefined
    const reply = await service.call('POST', '/graphql', {
      headers: { ...json, ...headers },
      body: JSON.stringify({ query: mutation, operationName }),
    })
    t.match(
      [reply.status, JSON.parse(reply.text)],
      [403, { errors: [{ extensions: { code: 'FORBIDDEN' } }] }],
    )
  }
  const asked = await graphql(service, '{ message(transactionId: "tx-1") { status version } }', {}, headers)
  t.strictSame(asked.data, { message: { status: 'DEAD_LETTER', version: 4 } })
})

t.test('an answer that could hold too much is refused with a way to ask for less', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const query = `{ events(first: 500) { nodes { message { history(first: 1000) { id } } } } }`
  const { data, errors } = await graphql(service, query)
  t.equal(data, undefined)
  t.match(errors, [{ message: /ask for a smaller page/, extensions: { code: 'COST_EXCEEDED' } }])
})
