import { createHash } from 'node:crypto'
import t from 'tap'
import { database } from '../../support/database.ts'
import { startService, well } from '../service.ts'

const access = {
  tokens: [
    { name: 'alice', role: 'operator', sha256: createHash('sha256').update('alice-secret').digest('hex') },
  ],
  open: false,
  introspection: true,
  publicUrl: { origin: 'https://example.com', path: '/tqp' },
} as const

t.test('without tokens a request that any proxy has passed on is not this machine’s', async (t) => {
  const { pool } = await database(t)
  const { call, lines } = await startService(t, pool)
  for (const name of [
    'Forwarded',
    'Via',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded-Prefix',
    'X-Forwarded',
    'X-Real-IP',
    'X-Client-IP',
    'True-Client-IP',
    'CF-Connecting-IP',
    'X-Original-Forwarded-For',
    'X-Envoy-External-Address',
  ]) {
    const headers = { [name]: '127.0.0.1' }
    const detail = new RegExp(`the header ${name.toLowerCase()}.*API_TOKENS.*API_OPEN`)
    t.match(await call('GET', '/transactions', { headers }), { status: 401, json: { detail } }, name)
    t.match(await call('GET', '/graphql?query=%7Bviewer%7Bname%7D%7D', { headers }), { status: 401 }, name)
    t.match(await call('GET', '/healthz', { headers }), { status: 200 }, 'what is open stays open')
  }
  t.match(lines, [{ event: 'request refused', reason: /the header forwarded/, refused: 1 }])
  t.equal(lines.length, 1)
})

t.test('an API that is open to anyone is so behind a proxy', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool, () => well, { tokens: [], open: true, introspection: true })
  t.match(await call('GET', '/transactions', { headers: { 'X-Forwarded-For': '192.0.2.1' } }), {
    status: 200,
  })
})

t.test('what Traefik sends is answered below its path, in the name of the token', async (t) => {
  const { pool } = await database(t)
  const { call, lines } = await startService(t, pool, () => well, access)
  const headers = {
    Host: 'example.com',
    'X-Forwarded-For': '192.0.2.1',
    'X-Forwarded-Host': 'example.com',
    'X-Forwarded-Port': '443',
    'X-Forwarded-Prefix': '/tqp',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Server': 'traefik',
    'X-Real-Ip': '192.0.2.1',
  }
  const asked = await call('POST', '/graphql', {
    headers: {
      ...headers,
      Origin: 'https://example.com',
      Authorization: 'Bearer alice-secret',
      'Content-Type': 'application/json',
    },
    body: '{"query":"{ viewer { name } }"}',
  })
  t.match(asked, { status: 200, text: /"alice"/ })
  t.match(await call('GET', '/', { headers: { ...headers, Accept: 'text/html' } }), {
    status: 303,
    headers: { location: '/tqp/console' },
  })
  t.strictSame(lines, [])
})
