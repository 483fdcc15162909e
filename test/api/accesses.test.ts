import { createHash } from 'node:crypto'
import { createClient as createSseClient } from 'graphql-sse'
import t, { type Test } from 'tap'
import type { Pool } from 'pg'
import type { Access } from '../../src/api/access.ts'
import { networkOf } from '../../src/api/accesses/network-of.ts'
import { RefusedLogins } from '../../src/api/accesses/refused-logins.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { dataOf, graphql, refusalOf } from './graphql/graphql.ts'
import { hearEvents } from './stream/support.ts'
import { connectThroughProxy, startService, store, type Service } from './service.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const access: Access = {
  open: false,
  introspection: true,
  tokens: [
    { name: 'victor', role: 'viewer', sha256: sha256('victor-secret') },
    { name: 'irene', role: 'investigator', sha256: sha256('irene-secret') },
    { name: 'olga', role: 'operator', sha256: sha256('olga-secret') },
  ],
}
const as = (name: string) => ({ authorization: `Bearer ${name}-secret` })
const soon = { accessesEveryMs: 50 }

type Row = {
  kind: string
  actor: string | null
  role: string | null
  address: string | null
  name: string | null
  amount: string
  transaction_ids: string[] | null
  details: Record<string, unknown>
}

async function read(pool: Pool): Promise<Row[]> {
  const { rows } = await pool.query<Row>('select * from accesses order by access')
  return rows
}

/** Waits until so many refusals are written down, and answers the rows. */
async function refusals(pool: Pool, amount: number): Promise<Row[]> {
  let rows: Row[] = []
  await until(`${amount} refusals to be recorded`, async () => {
    rows = (await read(pool)).filter(({ kind }) => kind === 'login_refused')
    return rows.reduce((sum, row) => sum + Number(row.amount), 0) >= amount
  })
  return rows
}

async function tryToken(service: Service, authorization?: string): Promise<number> {
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
  return (await service.call('GET', '/transactions', { headers })).status
}

t.test(
  'refused logins are recorded by reason and address, with their count, and never with the token',
  async (t) => {
    const { pool } = await database(t)
    const service = await startService(t, pool, undefined, access, soon)
    const hostile = [
      'guess-1',
      'guess-2',
      "'; drop table accesses; --",
      'x'.repeat(8_000),
      '%00%0a',
      'olga-secret2',
    ]
    for (const token of hostile) t.equal(await tryToken(service, `Bearer ${token}`), 401)
    t.equal(await tryToken(service, 'Basic b2xnYTpvbGdhLXNlY3JldA=='), 401)
    t.equal(await tryToken(service), 401)
    t.equal(
      await service.call('POST', '/replay/tx-1', { headers: as('victor') }).then(({ status }) => status),
      403,
    )
    const rows = await refusals(pool, 9)
    const byReason = (reason: string) => rows.filter(({ name }) => name === reason)
    const count = (reason: string) => byReason(reason).reduce((sum, { amount }) => sum + Number(amount), 0)
    t.equal(count('unknown_token'), 7)
    t.equal(count('no_token'), 1)
    t.match(byReason('role'), [{ actor: 'victor', amount: '1', address: '127.0.0.1' }])
    t.ok(byReason('unknown_token').every(({ actor, address }) => actor === null && address === '127.0.0.1'))
    const text = JSON.stringify(await read(pool))
    for (const token of ['guess-', 'drop table', 'xxxx', 'olga-secret', 'b2xnY', ...hostile.map(sha256)])
      t.notMatch(text, token)
    t.match(await service.metrics.registry.metrics(), /tqp_logins_refused_total\{reason="unknown_token"\} 7/)
  },
)

t.test('fifty thousand wrong tokens leave a bounded number of rows', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, access)
  const counted = new RefusedLogins()
  for (let at = 0; at < 50_000; at += 1) counted.count('unknown_token', `10.0.${at >> 8}.${at & 255}`, null)
  const taken = counted.take()
  t.equal(taken.length, 51)
  t.equal(
    taken.reduce((sum, { count }) => sum + count, 0),
    50_000,
    'and each is counted',
  )
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let at = 0; at < 20; at += 1) await tryToken(service, `Bearer wrong-${at}`)
    }),
  )
  await service.close()
  const rows = await read(pool)
  t.match(
    rows,
    [{ kind: 'login_refused', name: 'unknown_token', amount: '400' }],
    'what was counted is written at the end',
  )
  t.equal(rows.length, 1)
})

t.test(
  'while the database is away, a refused login is answered as ever, and its row comes later',
  async (t) => {
    const { url, pool } = await database(t)
    const through = await connectThroughProxy(t, url)
    const service = await startService(t, through.pool, undefined, access, soon)
    through.proxy.blackhole(true)
    for (let at = 0; at < 5; at += 1) t.equal(await tryToken(service, 'Bearer wrong'), 401)
    await until('a row that could not be written', async () =>
      /tqp_access_rows_failed_total [1-9]/.test(await service.metrics.registry.metrics()),
    )
    t.equal(await tryToken(service, 'Bearer wrong'), 401)
    t.match(
      service.lines.filter(({ event }) => event === 'accesses not recorded'),
      [{ rows: 1 }],
    )
    t.strictSame(await read(pool), [])
    through.proxy.blackhole(false)
    const rows = await refusals(pool, 6)
    t.equal(
      rows.reduce((sum, { amount }) => sum + Number(amount), 0),
      6,
      'all are counted',
    )
  },
)

t.test('addresses are told apart as far as they tell callers apart', (t) => {
  for (const [address, network] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::1', '::1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::5', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    [undefined, null],
  ] as const)
    t.equal(networkOf(address), network)
  t.end()
})

const ask = `query Look($id: ID!) { message(transactionId: $id) {
  transactionId payload { text base64 } source { key headers { value } } } }`

t.test('whoever reads bytes is recorded, once for each request, before the answer leaves', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, access, soon)
  const headers = JSON.stringify([['h', Buffer.from('value').toString('base64')]])
  await store(pool, ['tx-1', 'tx-2'], { headers, key: Buffer.from('key') })
  await dataOf(service, ask, { id: 'tx-1' }, as('irene'))
  const page = '{ messages(first: 10) { nodes { payload { json } } } }'
  await dataOf(service, page, {}, as('olga'))
  const token = (name: string) => sha256(`${name}-secret`).slice(0, 8)
  t.match(await read(pool), [
    {
      kind: 'payload_read',
      actor: 'irene',
      role: 'investigator',
      address: '127.0.0.1',
      name: 'Look',
      amount: '1',
      transaction_ids: ['tx-1'],
      details: { bytes: ['headers', 'key', 'payload'], token: token('irene') },
    },
    {
      actor: 'olga',
      name: null,
      amount: '2',
      transaction_ids: ['tx-2', 'tx-1'],
      details: { bytes: ['payload'], token: token('olga') },
    },
  ])
  await dataOf(
    service,
    '{ messages(first: 10) { nodes { payload { bytes sha256 } source { offset headers { name } } } } }',
    {},
    as('olga'),
  )
  t.equal((await read(pool)).length, 2, 'what everybody sees leaves nothing')
  await graphql(service, ask, { id: 'tx-1' }, as('victor'))
  t.match(
    await refusals(pool, 1),
    [{ name: 'role', actor: 'victor', amount: '1' }],
    'a refused wish is one, whatever it asked for',
  )
  t.notOk((await read(pool)).some(({ kind, actor }) => kind === 'payload_read' && actor === 'victor'))
})

t.test('what cannot be recorded is not answered', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, access)
  await store(pool, ['tx-1'])
  await pool.query(`create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
    create trigger refuse before insert on accesses execute function refuse()`)
  const { data, errors } = await graphql(service, ask, { id: 'tx-1' }, as('irene'))
  t.equal(data, null)
  t.match(errors, [
    {
      message: /^Payloads, keys and header values are answered only when that can be recorded/,
      extensions: { code: 'DATABASE_UNAVAILABLE' },
    },
  ])
  t.match(await graphql(service, '{ message(transactionId: "tx-1") { status } }', {}, as('irene')), {
    data: { message: { status: 'PENDING' } },
  })
})

t.test(
  'a subscription that reads bytes is recorded before its first answer, and then together',
  async (t) => {
    const { url, pool } = await database(t)
    const service = await startService(t, pool, undefined, access)
    const heard = await hearEvents(t, url)
    t.teardown(heard.on(() => service.events.give()))
    const client = createSseClient({
      url: `http://127.0.0.1:${service.port}/graphql`,
      headers: as('irene'),
      retryAttempts: 0,
    })
    t.teardown(() => client.dispose())
    const query =
      'subscription Follow { messageEvents(positionsEverySeconds: 60) { node { message { payload { text } } } } }'
    const answers = client.iterate({ query })
    await answers.next()
    t.strictSame(await read(pool), [], 'nothing was read yet')
    const ids = Array.from({ length: 30 }, (_, at) => `tx-${at}`)
    await store(pool, ids.slice(0, 1))
    t.match((await answers.next()).value, {
      data: { messageEvents: { node: { message: { payload: { text: /tx-0/ } } } } },
    })
    t.match(await read(pool), [
      { kind: 'payload_read', actor: 'irene', name: 'Follow', amount: '1', transaction_ids: ['tx-0'] },
    ])
    await store(pool, ids.slice(1))
    for (let at = 1; at < 30; at += 1) await answers.next()
    await service.close()
    const rows = await read(pool)
    t.match(rows, [{ amount: '1' }, { kind: 'payload_read', actor: 'irene', name: 'Follow', amount: '29' }])
    t.strictSame(rows.flatMap(({ transaction_ids }) => transaction_ids).sort(), [...ids].sort())
  },
)

t.test('of those who share the answers of a subscription each is recorded', async (t) => {
  const { pool } = await database(t)
  const next = { name: 'irene', role: 'investigator', sha256: sha256('irene-next-secret') } as const
  const service = await startService(t, pool, undefined, { ...access, tokens: [...access.tokens, next] })
  const query = 'subscription { messageEvents { node { message { payload { text } } } } }'
  const shared = ['irene', 'irene-next', 'victor', 'victor'].map((name) => {
    const client = createSseClient({
      url: `http://127.0.0.1:${service.port}/graphql`,
      headers: as(name),
      retryAttempts: 0,
    })
    t.teardown(() => client.dispose())
    return client.iterate({ query }).next()
  })
  await until('all to be followed', async () =>
    /tqp_subscriptions 4/.test(await service.metrics.registry.metrics()),
  )
  await store(pool, ['tx-1'])
  service.events.give()
  await Promise.all(shared)
  await service.close()
  const rows = await read(pool)
  const token = (name: string) => sha256(`${name}-secret`).slice(0, 8)
  t.strictSame(
    rows
      .filter(({ kind }) => kind === 'payload_read')
      .map(({ details }) => details.token)
      .sort(),
    [token('irene'), token('irene-next')].sort(),
  )
  t.match(
    rows.filter(({ kind }) => kind === 'login_refused'),
    [{ name: 'role', actor: 'victor', amount: '2' }],
  )
})

t.test('a subscription whose reads cannot be recorded ends', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, access)
  await store(pool, ['tx-1'])
  await pool.query(`create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
    create trigger refuse before insert on accesses execute function refuse()`)
  const client = createSseClient({
    url: `http://127.0.0.1:${service.port}/graphql`,
    headers: as('irene'),
    retryAttempts: 0,
  })
  t.teardown(() => client.dispose())
  const answers = client.iterate({
    query: 'subscription { message(transactionId: "tx-1") { payload { text } } }',
  })
  const first = await answers.next()
  t.match(first.value, { errors: [{ extensions: { code: 'DATABASE_UNAVAILABLE' } }] })
  t.notMatch(JSON.stringify(first), '10.10')
  t.equal((await answers.next()).done, true)
  await until('nothing to be open', async () =>
    /tqp_token_subscriptions\{.*\} 0/.test(await service.metrics.registry.metrics()),
  )
})

t.test('an export is recorded in the words of the client, for every role', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, access)
  const mutation = `mutation ($what: String!, $rows: Int!) { recordExport(what: $what, format: "csv", rows: $rows) }`
  const { recordExport: id } = await dataOf<{ recordExport: string }>(
    service,
    mutation,
    { what: 'journal', rows: 12 },
    as('victor'),
  )
  t.match(await read(pool), [
    {
      access: id,
      kind: 'exported',
      actor: 'victor',
      role: 'viewer',
      name: 'journal',
      amount: '12',
      details: { format: 'csv' },
    },
  ])
  t.match(await refusalOf(service, mutation, { what: 'a\nb', rows: 1 }, as('victor')), {
    code: 'BAD_USER_INPUT',
  })
  t.match(await refusalOf(service, mutation, { what: 'journal', rows: -1 }, as('victor')), {
    code: 'BAD_USER_INPUT',
  })
  const both =
    'mutation { recordExport(what: "x", format: "csv", rows: 1) replay(transactionId: "tx-1", reason: "r", idempotencyKey: "k") { __typename } }'
  t.match(
    await refusalOf(service, both, {}, as('victor')),
    { code: 'FORBIDDEN' },
    'and nothing else comes with it',
  )
  t.equal((await read(pool)).filter(({ kind }) => kind === 'exported').length, 1)
})

t.test('nobody fills the accesses with exports', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, access)
  const fields = Array.from(
    { length: 50 },
    (_, at) => `e${at}: recordExport(what: "journal", format: "csv", rows: 1)`,
  )
  const flood = `mutation { ${fields.join(' ')} }`
  const refusals = []
  for (let at = 0; at < 3; at += 1) {
    const { errors } = await graphql(service, flood, {}, as('victor'))
    refusals.push(...(errors ?? []))
  }
  t.match(refusals[0], { message: /^Too many exports/, extensions: { code: 'COST_EXCEEDED' } })
  const exportsOf = async (name: string) =>
    (await read(pool)).filter(({ kind, actor }) => kind === 'exported' && actor === name).length
  t.ok((await exportsOf('victor')) <= 120, 'a minute may end in between')
  await dataOf(service, `mutation { ${fields[0]} }`, {}, as('irene'))
  t.equal(await exportsOf('irene'), 1)
})

t.test(
  'accesses are listed for investigators and operators, the newest first, by kind, actor and transaction',
  async (t) => {
    const { pool } = await database(t)
    const service = await startService(t, pool, undefined, access)
    await store(pool, ['tx-1', 'tx-2'])
    await dataOf(service, ask, { id: 'tx-1' }, as('irene'))
    await dataOf(service, ask, { id: 'tx-2' }, as('olga'))
    await dataOf(
      service,
      'mutation { recordExport(what: "journal", format: "jsonl", rows: 2) }',
      {},
      as('victor'),
    )
    const list = `query ($filter: AccessFilter, $first: Int, $after: String) { accesses(filter: $filter, first: $first, after: $after) {
    nodes { id kind actor role name amount transactionIds databaseUser details } pageInfo { hasNextPage endCursor } } }`
    type Listed = {
      accesses: {
        nodes: { id: string; actor: string }[]
        pageInfo: { hasNextPage: boolean; endCursor: string }
      }
    }
    const actors = async (variables: Record<string, unknown>, name = 'irene') =>
      (await dataOf<Listed>(service, list, variables, as(name))).accesses.nodes.map(({ actor }) => actor)
    t.strictSame(await actors({}), ['victor', 'olga', 'irene'])
    t.strictSame(await actors({}, 'olga'), ['victor', 'olga', 'irene'])
    t.strictSame(await actors({ filter: { kind: ['PAYLOAD_READ'] } }), ['olga', 'irene'])
    t.strictSame(await actors({ filter: { transactionId: 'tx-1' } }), ['irene'])
    t.strictSame(await actors({ filter: { actor: 'victor' } }), ['victor'])
    t.strictSame(await actors({ filter: { actor: '\0' } }), [])
    const page = await dataOf<Listed>(service, list, { first: 2 }, as('irene'))
    t.equal(page.accesses.pageInfo.hasNextPage, true)
    t.strictSame(await actors({ first: 2, after: page.accesses.pageInfo.endCursor }), ['irene'])
    t.match(await refusalOf(service, list, {}, as('victor')), { code: 'FORBIDDEN' })
    t.match(await refusalOf(service, list, { first: 201 }, as('irene')), { code: 'BAD_USER_INPUT' })
  },
)

t.test('no role of the service changes or removes an access', async (t: Test) => {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, access)
  await dataOf(
    service,
    'mutation { recordExport(what: "journal", format: "jsonl", rows: 2) }',
    {},
    as('victor'),
  )
  for (const change of ['update accesses set amount = 0', 'delete from accesses', 'truncate accesses'])
    await t.rejects(pool.query(change), { code: '42501' })
})
