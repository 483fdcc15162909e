import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Environment, fetchQuery, Network, RecordSource, Store } from 'relay-runtime'
import type { ConcreteRequest, GraphQLTaggedNode } from 'relay-runtime'
import { createClient as createSseClient } from 'graphql-sse'
import { CloseCode, createClient as createWsClient } from 'graphql-ws'
import { isAbstractType, isScalarType, isSpecifiedScalarType } from 'graphql'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { schema } from '../../../src/api/graphql/schema.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { startService, storeDeadLetters, well } from '../service.ts'
import { hearEvents } from '../stream/support.ts'
import { clients } from './clients.ts'

const token = 'olga-secret'
const sha256 = createHash('sha256').update(token).digest('hex')
const access = {
  tokens: [{ name: 'olga', role: 'operator', sha256 }],
  open: false,
  introspection: true,
} as const

async function serveAll(t: Test) {
  const { url, pool } = await database(t)
  const service = await startService(t, pool, () => well, access)
  const heard = await hearEvents(t, url)
  t.teardown(heard.on(() => service.events.give()))
  return { ...service, pool, url: `http://127.0.0.1:${service.port}/graphql` }
}

const stateOf = `query State($id: ID!) {
  message(transactionId: $id) { id transactionId status history { id type actor } payload { text } }
}`
const replay = `mutation Replay($id: ID!) {
  replay(transactionId: $id, reason: "mended") { __typename ... on Replayed { version } ... on ReplayRefusal { text } }
}`
const tooMany = 'query TooMany { messages(first: 201) { nodes { id } } }'
const changes = 'subscription Changes($id: ID!) { message(transactionId: $id) { id status version } }'

for (const [name, connect] of Object.entries(clients)) {
  t.test(`${name} asks, replays with a token, is told an error's code, and watches`, async (t) => {
    const { pool, url } = await serveAll(t)
    await storeDeadLetters(pool, ['refused-1'])
    const client = connect(url, token)
    const id = 'refused-1'
    const seen: string[] = []
    const stop = client.watch(changes, { id }, ({ message }) =>
      seen.push((message as { status: string }).status),
    )
    t.teardown(stop)
    await until('the state', () => seen.includes('DEAD_LETTER'))
    t.match(await client.ask(replay, { id }), { data: { replay: { __typename: 'Replayed', version: 5 } } })
    await until('its change', () => seen.includes('PENDING'))
    t.match(await client.ask(stateOf, { id }), {
      data: { message: { status: 'PENDING', history: { 4: { type: 'REPLAYED', actor: 'olga' } } } },
    })
    t.match(await client.ask(tooMany, {}), { errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] })
  })
}

t.test('Relay refetches an object by its id, and its store knows it again', async (t) => {
  const { pool, url } = await serveAll(t)
  await storeDeadLetters(pool, ['refused-1'])
  const send = clients.fetch!(url, token)
  const environment = new Environment({
    network: Network.create((request, variables) => send.ask(request.text ?? '', variables) as never),
    store: new Store(new RecordSource()),
  })
  const { data } = await send.ask('{ messages { nodes { id } } }', {})
  const [{ id } = { id: '' }] = (data as { messages: { nodes: { id: string }[] } }).messages.nodes
  const answer = await fetchQuery(environment, nodeRequest, { id }).toPromise()
  t.match(answer, { node: { id, __typename: 'Message', status: 'DEAD_LETTER' } })
  t.match(environment.getStore().getSource().get(id), { __typename: 'Message', transactionId: 'refused-1' })
})

t.test('Apollo is told that here is no store of documents, once, and then sends them', async (t) => {
  const { url } = await serveAll(t)
  const asked: unknown[] = []
  const real = globalThis.fetch
  t.teardown(() => (globalThis.fetch = real))
  globalThis.fetch = async (input, init) => {
    asked.push(JSON.parse(init?.body as string))
    return real(input, init)
  }
  const client = clients['@apollo/client']!(url, token)
  for (const name of ['One', 'Two'])
    t.match(await client.ask(`query ${name} { viewer { name } }`, {}), { data: { viewer: { name: 'olga' } } })
  t.strictSame(
    asked.map((body) => 'query' in (body as object)),
    [false, true, true],
  )
})

t.test('a hash in place of a document is answered in the words that clients know', async (t) => {
  const { call } = await serveAll(t)
  const persistedQuery = { version: 1, sha256Hash: 'ab'.repeat(32) }
  const authorization = `Bearer ${token}`
  const words = {
    errors: [
      { message: 'PersistedQueryNotSupported', extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED' } },
    ],
  }
  for (const [accept, status] of [
    ['application/json', 200],
    ['application/graphql-response+json', 400],
  ] as const) {
    const headers = { authorization, accept, 'content-type': 'application/json' }
    const body = JSON.stringify({ extensions: { persistedQuery } })
    const posted = await call('POST', '/graphql', { headers, body })
    t.match([posted.status, JSON.parse(posted.text)], [status, words])
    const query = new URLSearchParams({ extensions: JSON.stringify({ persistedQuery }) })
    const got = await call('GET', `/graphql?${query.toString()}`, { headers: { authorization, accept } })
    t.match([got.status, JSON.parse(got.text)], [status, words])
  }
  const both = JSON.stringify({ query: '{ viewer { name } }', extensions: { persistedQuery } })
  const headers = { authorization, 'content-type': 'application/json' }
  t.match(await call('POST', '/graphql', { headers, body: both }), { status: 200, text: /olga/ })
})

t.test("graphql-sse's single connection mode is refused in words that its client shows", async (t) => {
  const { url } = await serveAll(t)
  const client = createSseClient({
    url,
    singleConnection: true,
    retryAttempts: 0,
    headers: { authorization: `Bearer ${token}` },
  })
  t.teardown(() => client.dispose())
  await t.rejects(client.iterate({ query: '{ viewer { name } }' }).next(), {
    message: /405: Leave out singleConnection/,
  })
})

t.test('a socket that is refused is told what is missing', async (t) => {
  const { port } = await serveAll(t)
  const ask = (connectionParams: Record<string, unknown>) => {
    const url = `ws://127.0.0.1:${port}/graphql`
    const client = createWsClient({ url, webSocketImpl: WebSocket, connectionParams, retryAttempts: 0 })
    t.teardown(() => client.dispose())
    return client.iterate({ query: '{ viewer { name } }' }).next()
  }
  for (const connectionParams of [
    { headers: { Authorization: `Bearer ${token}` } },
    { headers: { authorization: `Bearer ${token}` } },
    { AUTHORIZATION: `Bearer ${token}` },
  ])
    t.match(await ask(connectionParams), { value: { data: { viewer: { name: 'olga' } } } })
  for (const [connectionParams, reason] of [
    [{}, /a token is needed, as connectionParams: \{ Authorization: "Bearer TOKEN" \}/],
    [{ headers: { 'X-Token': token } }, /a token is needed/],
    [{ headers: { Authorization: 'Bearer another' } }, /this token is not known/],
  ] as const)
    await t.rejects(ask(connectionParams), { code: CloseCode.Forbidden, reason })
})

t.test('docs/clients.md names every scalar and every possible type', async (t) => {
  const words = await readFile(new URL('../../../docs/clients.md', import.meta.url), 'utf8')
  for (const type of Object.values(schema.getTypeMap())) {
    if (isScalarType(type) && !isSpecifiedScalarType(type)) t.match(words, `\n  ${type.name}: `)
    if (!isAbstractType(type)) continue
    const names = schema.getPossibleTypes(type).map(({ name }) => `'${name}'`)
    const [, listed = ''] = new RegExp(`\\n  ${type.name}: \\[(.*)\\]`).exec(words) ?? []
    t.strictSame(listed.split(', ').sort(), names.sort(), type.name)
  }
})

/** What Relay's compiler makes of a query; the reader's selections and the store's are the same here. */
const nodeRequest = (() => {
  const scalar = (name: string) => ({ kind: 'ScalarField', alias: null, name, args: null, storageKey: null })
  const selections = [
    {
      kind: 'LinkedField',
      alias: null,
      name: 'node',
      args: [{ kind: 'Variable', name: 'id', variableName: 'id' }],
      concreteType: null,
      plural: false,
      storageKey: null,
      selections: [
        scalar('__typename'),
        scalar('id'),
        {
          kind: 'InlineFragment',
          type: 'Message',
          abstractKey: null,
          selections: [scalar('status'), scalar('transactionId')],
        },
      ],
    },
  ]
  const argumentDefinitions = [{ kind: 'LocalArgument', name: 'id', defaultValue: null }]
  const request = {
    kind: 'Request',
    fragment: {
      kind: 'Fragment',
      name: 'NodeQuery',
      type: 'Query',
      abstractKey: null,
      metadata: null,
      argumentDefinitions,
      selections,
    },
    operation: { kind: 'Operation', name: 'NodeQuery', argumentDefinitions, selections },
    params: {
      id: null,
      cacheID: 'NodeQuery',
      metadata: {},
      name: 'NodeQuery',
      operationKind: 'query',
      text: 'query NodeQuery($id: ID!) { node(id: $id) { __typename id ... on Message { status transactionId } } }',
    },
  }
  return request as unknown as ConcreteRequest as GraphQLTaggedNode
})()
