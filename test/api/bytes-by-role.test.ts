import { createHash } from 'node:crypto'
import { createClient as createSseClient } from 'graphql-sse'
import { isObjectType, isLeafType, getNamedType } from 'graphql'
import t, { type Test } from 'tap'
import type { Access } from '../../src/api/access.ts'
import { schema } from '../../src/api/graphql/schema.ts'
import { ingest } from '../../src/log/write/ingest.ts'
import { record } from '../log/support.ts'
import { database } from '../support/database.ts'
import { graphql } from './graphql/graphql.ts'
import { startService, store, storeDeadLetters, type Service } from './service.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const holders = { victor: 'viewer', irene: 'investigator', olga: 'operator' } as const
type Holder = keyof typeof holders
const access: Access = {
  open: false,
  introspection: true,
  tokens: Object.entries(holders).map(([name, role]) => ({ name, role, sha256: sha256(`${name}-secret`) })),
}
const as = (name: Holder) => ({ authorization: `Bearer ${name}-secret` })

// What stands in a payload, in a key and in a header, and nowhere else.
const marks = ['10.10', 'key-of-the-record', 'value-of-the-header']
const inAnyForm = marks.flatMap((mark) => [
  mark,
  Buffer.from(mark).toString('base64').replace(/=+$/, '').slice(0, -1),
])

const bytes = `payload { text json base64 bytes sha256 state }
  source { topic offset key keyBase64 headerCount timestamp headers { name value valueBase64 } }`
const events = `history { reason source { key keyBase64 headers { name value valueBase64 } } }`
const everything = `transactionId errorMessage failurePattern ${bytes} ${events} conflicts { transactionId ${bytes} } conflictsWith { ${bytes} }`

async function setUp(t: Test): Promise<Service> {
  const { pool } = await database(t)
  const headers = JSON.stringify([['name-of-the-header', Buffer.from(marks[2]!).toString('base64')]])
  const key = Buffer.from(marks[1]!)
  await store(pool, ['tx-1'], { headers, key })
  await storeDeadLetters(pool, ['tx-2'])
  await store(pool, ['record:transactions.incoming:0:2'], {
    headers,
    key,
    rejection: 'The value is not JSON.',
  })
  const payload = Buffer.from(`{"transaction_id":"tx-1","amount":"${marks[0]}0"}`)
  const conflict = record(0, 'tx-1', { payload, headers, key })
  const slice = {
    topic: 'other',
    partition: 0,
    incarnation: 1,
    first: 0n,
    next: 1n,
    records: [conflict],
    holes: [],
  }
  await ingest(pool, slice, { actor: 'instance-1', lane: 'instance-1/fresh', room: 0, leaseMs: 60_000 })
  return startService(t, pool, undefined, access)
}

/** Everything that can be asked, by the ways that there are. */
async function askEverything(service: Service, name: Holder): Promise<Record<string, string>> {
  const ask = async (query: string, variables = {}) =>
    JSON.stringify(await graphql(service, query, variables, as(name)))
  const get = async (path: string) => (await service.call('GET', path, { headers: as(name) })).text
  return {
    message: await ask(`{ message(transactionId: "tx-1") { ${everything} } }`),
    rejected: await ask(`{ message(transactionId: "record:transactions.incoming:0:2") { ${everything} } }`),
    conflicting: await ask(`{ message(transactionId: "record:other:0:0") { ${everything} } }`),
    node: await ask(
      `{ a: node(id: "1") { ... on Message { ${everything} } } b: node(id: "1:1") { ... on Event { source { key headers { value } } message { payload { text } } } } }`,
    ),
    messages: await ask(`{ messages(first: 10) { nodes { transactionId errorMessage ${bytes} } } }`),
    events: await ask(
      `{ events(first: 20) { nodes { reason source { key keyBase64 headers { name value valueBase64 } } message { payload { text } } conflict { payload { base64 } } } } }`,
    ),
    aliases: await ask(
      `fragment Bytes on Payload { innocent: text } query ($yes: Boolean!) { message(transactionId: "tx-1") { payload { ... @include(if: $yes) { ...Bytes } } } }`,
      { yes: true },
    ),
    failures: await ask(`{ metrics { topFailures { pattern examples { transactionId } } } }`),
    live: await hear(service, name),
    transactions: await get('/transactions'),
    status: await get('/status'),
    metrics: await get('/metrics'),
    console: await get('/console'),
  }
}

/** The first answer of the subscription to one message. */
async function hear({ port }: Service, name: Holder): Promise<string> {
  const client = createSseClient({
    url: `http://127.0.0.1:${port}/graphql`,
    headers: as(name),
    retryAttempts: 0,
  })
  const query = `subscription Watch { message(transactionId: "tx-1") { ${everything} } }`
  for await (const answer of client.iterate({ query })) {
    client.dispose()
    return JSON.stringify(answer)
  }
  throw new Error('no answer')
}

t.test('a viewer sees no payload, key or value of a header, whichever way he asks', async (t) => {
  const service = await setUp(t)
  for (const [way, text] of Object.entries(await askEverything(service, 'victor'))) {
    // The console is a program, which knows the codes.
    if (way !== 'console') t.notMatch(text, /COST_EXCEEDED|GRAPHQL_|BAD_USER_INPUT/, `${way} is answered`)
    t.strictSame(
      inAnyForm.filter((mark) => text.includes(mark)),
      [],
      way,
    )
  }
  const { data, errors } = await graphql(
    service,
    `{ message(transactionId: "tx-1") { status ${bytes} } }`,
    {},
    as('victor'),
  )
  t.match(data, {
    message: {
      status: 'PENDING',
      payload: { text: null, json: null, base64: null, state: 'WHOLE', sha256: /^[0-9a-f]{64}$/ },
      source: { key: null, headerCount: 1, headers: [{ name: 'name-of-the-header', value: null }] },
    },
  })
  t.equal(errors?.length, 7, 'one error for each field that is refused')
  for (const each of errors ?? [])
    t.match(each, {
      message: /^Only an investigator or an operator may see .*, and victor is a viewer\.$/,
      extensions: { code: 'FORBIDDEN' },
    })
})

t.test('an investigator and an operator see them', async (t) => {
  const service = await setUp(t)
  for (const name of ['irene', 'olga'] as const) {
    const answers = await askEverything(service, name)
    for (const way of ['message', 'rejected', 'conflicting', 'node', 'messages', 'live'])
      for (const mark of marks) t.ok(answers[way]?.includes(mark), `${mark} by ${way}`)
    t.notMatch(answers.message, 'FORBIDDEN')
  }
})

t.test('an investigator changes nothing', async (t) => {
  const service = await setUp(t)
  const replay = 'mutation { replay(transactionId: "tx-2", reason: "r", idempotencyKey: "k") { __typename } }'
  t.match(await graphql(service, replay, {}, as('irene')), {
    errors: [{ extensions: { code: 'FORBIDDEN' } }],
  })
  t.equal((await service.call('POST', '/replay/tx-2', { headers: as('irene') })).status, 403)
  t.match(await graphql(service, '{ viewer { role } }', {}, as('irene')), {
    data: { viewer: { role: 'INVESTIGATOR' } },
  })
})

t.test('every field of what Kafka handed over is either for all or guarded', async (t) => {
  const service = await setUp(t)
  const forAll = {
    Payload: ['bytes', 'sha256', 'state'],
    KafkaRecord: ['topic', 'partition', 'incarnation', 'offset', 'headerCount', 'timestamp'],
    Header: ['name'],
  }
  const ways = {
    Payload: (field: string) => `payload { ${field} }`,
    KafkaRecord: (field: string) => `source { ${field} }`,
    Header: (field: string) => `source { headers { ${field} } }`,
  }
  for (const [name, open] of Object.entries(forAll) as [keyof typeof ways, string[]][]) {
    const type = schema.getType(name)
    if (!isObjectType(type)) return t.fail(name)
    const fields = Object.values(type.getFields()).filter((field) => isLeafType(getNamedType(field.type)))
    for (const field of fields) {
      const { errors = [] } = await graphql(
        service,
        `{ message(transactionId: "tx-1") { ${ways[name](field.name)} } }`,
        {},
        as('victor'),
      )
      t.equal(errors.length === 0, open.includes(field.name), `${name}.${field.name}`)
    }
  }
})
