import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient as createSseClient } from 'graphql-sse'
import { createClient as createWsClient } from 'graphql-ws'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { findBrowser, openPage } from '../../support/browser.ts'
import { database } from '../../support/database.ts'
import { findFreePort } from '../../support/free-port.ts'
import { startNginx, withoutNginx } from '../../support/nginx.ts'
import { until } from '../../support/until.ts'
import { Playground } from '../graphql/playground.ts'
import { startService, store, storeDeadLetters, well } from '../service.ts'

const documented = readFileSync(join(import.meta.dirname, '../../../docs/behind-a-proxy.md'), 'utf8')
const [atRoot = '', belowPath = ''] = [...documented.matchAll(/^```nginx\n([^]*?)^```/gm)].map(
  ([, text = '']) => text,
)
const plain = 'server { listen 80; location / { proxy_pass http://127.0.0.1:8000; } }'

const browser = findBrowser()
const withoutBrowser =
  browser === null && 'no chromium or google-chrome on the PATH: apt-get install chromium'

const tokens = [
  { name: 'alice', role: 'operator', sha256: createHash('sha256').update('alice-secret').digest('hex') },
] as const
const authorization = 'Bearer alice-secret'
const subscription = 'subscription { messageEvents(positionsEverySeconds: 60) { node { transactionId } } }'

/** The service with one dead letter behind an nginx. */
async function serve(
  t: Test,
  configuration: string,
  { hasTokens = true, path = null }: { hasTokens?: boolean; path?: string | null },
) {
  const { pool } = await database(t)
  const port = await findFreePort()
  const origin = `http://127.0.0.1:${port}`
  const access = {
    tokens: hasTokens ? tokens : [],
    open: false,
    introspection: true,
    publicUrl: path === null ? null : { origin, path },
  }
  const service = await startService(t, pool, () => well, access)
  await startNginx(t, configuration, { port, target: service.port })
  await storeDeadLetters(pool, ['tx-1'])
  /** What a browser sends from a page of our own. */
  const ask = (query: string, headers: Record<string, string> = { authorization }) =>
    fetch(`${origin}${path ?? ''}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin, ...headers },
      body: JSON.stringify({ query }),
    })
  return { ...service, pool, origin, ask }
}

t.test(
  'behind a plain proxy_pass a browser is told what differs and what to set, and that is enough',
  { skip: withoutNginx },
  async (t) => {
    const { ask, origin, lines, port } = await serve(t, plain, {})
    const answer = await ask('{ viewer { name } }')
    const { errors } = (await answer.json()) as { errors: { message: string }[] }
    const sentence = `the page is of ${origin}, and the service is asked as 127.0.0.1:${port}. If that page is the service's own, behind a proxy, set PUBLIC_URL=${origin}`
    t.equal(answer.status, 403)
    t.equal(errors[0]!.message, `Pages of another origin may not ask: ${sentence}`)
    await ask('{ viewer { name } }')
    t.match(lines, [{ event: 'request refused', reason: sentence, refused: 1 }])
    t.equal(lines.length, 1, 'one line a minute')

    const mended = await serve(t, plain, { path: '' })
    const answered = await mended.ask('{ viewer { name } }')
    t.match(await answered.json(), { data: { viewer: { name: 'alice' } } })
    const replayed = await fetch(`${mended.origin}/replay/tx-1`, {
      method: 'POST',
      headers: { authorization, origin: mended.origin },
    })
    t.equal(replayed.status, 200)
    const evil = await mended.ask('{ viewer { name } }', { authorization, origin: 'http://evil.example' })
    t.equal(evil.status, 403, 'another page is still another')
    await hearsEvents(t, mended)
  },
)

t.test(
  'without tokens nobody is an operator behind a proxy, and is told why',
  { skip: withoutNginx },
  async (t) => {
    for (const [configuration, reason] of [
      [plain, /HTTP\/1\.0/],
      [atRoot, /the header x-forwarded-for/],
    ] as const) {
      const { origin, ask, lines, pool } = await serve(t, configuration, { hasTokens: false, path: '' })
      const listed = await fetch(`${origin}/transactions`)
      t.equal(listed.status, 401)
      t.match(await listed.json(), { detail: reason })
      t.equal((await fetch(`${origin}/replay/tx-1`, { method: 'POST' })).status, 401)
      t.equal((await ask('{ viewer { name } }', {})).status, 401)
      t.match(lines, [{ event: 'request refused', reason }])
      t.equal((await fetch(`${origin}/metrics`)).status, 200, 'what is open stays open')
      const { rows } = await pool.query(`select from message_events where type = 'replayed'`)
      t.strictSame(rows, [])
    }
  },
)

for (const [name, configuration, path] of [
  ['at the root', atRoot, ''],
  ['below a path', belowPath, '/tqp'],
] as const) {
  t.test(`the documented nginx ${name}: routes, SSE and WebSocket`, { skip: withoutNginx }, async (t) => {
    const service = await serve(t, configuration, { path })
    const { origin, ask } = service
    t.match(await (await ask('{ viewer { name } }')).json(), { data: { viewer: { name: 'alice' } } })
    t.equal((await fetch(`${origin}${path}/metrics`)).status, 200)
    const led = await fetch(`${origin}${path}/`, { headers: { accept: 'text/html' }, redirect: 'manual' })
    t.equal(led.headers.get('location'), `${path}/console`)
    await hearsEvents(t, service, path)
    const client = createWsClient({
      url: `${origin.replace('http', 'ws')}${path}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      connectionParams: { Authorization: authorization },
    })
    t.teardown(() => client.dispose())
    const events = client.iterate({ query: subscription })
    await events.next()
    await store(service.pool, ['live-2'])
    service.events.give()
    t.match((await events.next()).value, { data: { messageEvents: { node: { transactionId: 'live-2' } } } })
  })

  t.test(
    `the playground works behind the documented nginx ${name}`,
    { skip: withoutNginx || withoutBrowser },
    async (t) => {
      const service = await serve(t, configuration, { path })
      const { page, refused } = await openPage(t, browser ?? '')
      const playground = new Playground(page)
      await playground.open(`${service.origin}${path}/graphql`)
      await playground.sendHeaders({ Authorization: authorization })
      await playground.press()
      await until('the viewer', async () => (await playground.answer()).includes('"alice"'))
      t.strictSame(refused, [])
    },
  )
}

/** SSE comes through as it happens, and not when the proxy's buffer is full. */
async function hearsEvents(
  t: Test,
  { origin, pool, events }: Awaited<ReturnType<typeof serve>>,
  path = '',
): Promise<void> {
  const client = createSseClient({
    url: `${origin}${path}/graphql`,
    retryAttempts: 0,
    headers: { Authorization: authorization },
  })
  t.teardown(() => client.dispose())
  const heard = client.iterate({ query: subscription })
  await heard.next()
  await store(pool, ['live-1'])
  events.give()
  let seen = ''
  while (!seen.includes('"live-1"')) seen = JSON.stringify((await heard.next()).value)
  t.match(seen, '"live-1"')
  await heard.return?.()
}
