import { createHash } from 'node:crypto'
import t from 'tap'
import type { Pool } from 'pg'
import type { Access } from '../../src/api/access.ts'
import { database } from '../support/database.ts'
import { startService, storeDeadLetters, well } from './service.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const access: Access = {
  open: false,
  introspection: true,
  tokens: [
    { name: 'alice', role: 'operator', sha256: sha256('alice-secret') },
    { name: 'victor', role: 'viewer', sha256: sha256('victor-secret') },
  ],
}
const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
const graphql = (query: string, token?: string) => ({
  headers: {
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  },
  body: JSON.stringify({ query }),
})

async function readReplays(pool: Pool) {
  const { rows } = await pool.query<{ actor: string; reason: string }>(
    `select actor, reason from message_events where type = 'replayed' order by recorded_at`,
  )
  return rows
}

t.test('with tokens, what tells of no transaction stays open to all', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool, () => well, access)
  for (const path of ['/', '/metrics', '/status', '/healthz', '/readyz']) {
    t.equal((await call('GET', path)).status, 200, path)
    t.equal((await call('GET', path, as('nonsense'))).status, 200, `${path} with a token that nobody knows`)
  }
})

t.test('with tokens, who has none is answered 401 and told what to send', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool, () => well, access)
  await storeDeadLetters(pool, ['tx-1'])
  const unauthorized = { status: 401, headers: { 'www-authenticate': 'Bearer' } }
  const detail = { json: { detail: /^A token is needed/ } }
  for (const authorization of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer nonsense',
    'Basic alice-secret',
    'alice-secret',
    'Bearer alice-secret victor-secret',
    `Bearer ${sha256('alice-secret')}`,
  ]) {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
    t.match(
      await call('GET', '/transactions', { headers }),
      { ...unauthorized, ...detail },
      String(authorization),
    )
    t.match(await call('HEAD', '/transactions', { headers }), unauthorized)
    t.match(await call('POST', '/replay/tx-1', { headers }), { ...unauthorized, ...detail })
    t.match(await call('POST', '/replay/nobody', { headers }), unauthorized, 'nor is told who exists')
  }
  t.strictSame(await readReplays(pool), [])
  const { status, headers, text } = await call('POST', '/graphql', graphql('{ viewer { name } }'))
  t.match({ status, headers }, unauthorized)
  t.match(JSON.parse(text), { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] })
  t.equal((await call('POST', '/graphql', graphql('{ viewer { name } }', 'nonsense'))).status, 401)
})

t.test('a viewer sees everything and replays nothing', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool, () => well, access)
  await storeDeadLetters(pool, ['tx-1'])
  t.equal((await call('GET', '/transactions', as('victor-secret'))).status, 200)
  t.match(await call('POST', '/replay/tx-1', as('victor-secret')), {
    status: 403,
    headers: { 'www-authenticate': 'Bearer error="insufficient_scope"' },
    json: { detail: /an operator is needed/ },
  })
  t.strictSame(await readReplays(pool), [])
  const { text } = await call('POST', '/graphql', graphql('{ viewer { name role } }', 'victor-secret'))
  t.strictSame(JSON.parse(text), { data: { viewer: { name: 'victor', role: 'VIEWER' } } })
})

t.test('an operator replays in the name of the token, whatever the body says', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool, () => well, access)
  await storeDeadLetters(pool, ['a', 'b'])
  const bodies = ['{"operator": "mallory", "reason": "processor fixed"}', '{"operator": 7}']
  t.equal((await call('POST', '/replay/a', { ...as('alice-secret'), body: bodies[0]! })).status, 200)
  t.equal((await call('POST', '/replay/b', { ...as('alice-secret'), body: bodies[1]! })).status, 200)
  t.strictSame(await readReplays(pool), [
    { actor: 'alice', reason: 'processor fixed' },
    { actor: 'alice', reason: 'none given' },
  ])
  const { text } = await call('POST', '/graphql', graphql('{ viewer { name role } }', 'alice-secret'))
  t.strictSame(JSON.parse(text), { data: { viewer: { name: 'alice', role: 'OPERATOR' } } })
})

t.test('no token, and no part of one, is in the service’s log', async (t) => {
  const { pool } = await database(t)
  const { call, lines } = await startService(t, pool, () => well, access)
  await storeDeadLetters(pool, ['tx-1'])
  await call('POST', '/replay/tx-1', as('alice-secret'))
  await call('POST', '/graphql', graphql('{ viewer { name } }', 'alice-secret'))
  await call('GET', '/transactions', as('nobodys-secret'))
  t.match(lines, [{ event: 'replay', operator: 'alice' }])
  t.notMatch(JSON.stringify(lines), /secret/)
})

t.test('without tokens, a page whose name was made to lead to this machine is let in nowhere', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  const host = 'evil.example:8000'
  const rebound = { headers: { host, origin: `http://${host}` } }
  const asked = graphql('{ viewer { name } }')
  t.match(await call('GET', '/transactions', rebound), { status: 401 })
  t.match(await call('POST', '/replay/tx-1', rebound), { status: 401 })
  t.match(await call('POST', '/graphql', { ...asked, headers: { ...asked.headers, ...rebound.headers } }), {
    status: 401,
  })
  t.same(await readReplays(pool), [])
  for (const name of ['localhost:8000', '127.0.0.1', '[::1]:8000', 'LOCALHOST'])
    t.match(await call('GET', '/transactions', { headers: { host: name } }), { status: 200 }, name)
})

t.test('an API that is open to anyone is so by any name', async (t) => {
  const { pool } = await database(t)
  const open = { tokens: [], open: true, introspection: true }
  const { call } = await startService(t, pool, () => well, open)
  t.match(await call('GET', '/transactions', { headers: { host: 'payments.example' } }), { status: 200 })
})
