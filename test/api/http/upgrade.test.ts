import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createClient } from 'graphql-ws'
import t from 'tap'
import { WebSocket } from 'ws'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { startService, storeDeadLetters } from '../service.ts'

const modules = spawnSync('java', ['--list-modules'], { encoding: 'utf8' })
const hasJava = modules.status === 0 && modules.stdout.includes('jdk.compiler')
const withoutJava = !hasJava && 'there is no JDK on the PATH (Debian: default-jdk-headless)'

const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n'
const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

/** A request that wishes for another protocol, as it goes over the line. */
function wish(line: string, wishes: string, body: string | null = null): string {
  const length =
    body === null ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
  return `${line}\r\nHost: localhost\r\n${wishes}${length}\r\n${body ?? ''}`
}

/** Sends the requests one after the other on one connection, and answers what came for each. */
async function send(port: number, requests: readonly string[]): Promise<string[]> {
  const socket = connect(port, '127.0.0.1')
  let answers = ''
  socket.setEncoding('utf8').on('data', (text: string) => (answers += text))
  for (const [at, request] of requests.entries()) {
    socket.write(request)
    const isAnswered = () => answers.split('HTTP/1.1 ').length > at + 1 && /\r\n\r\n/.test(answers)
    await until(`an answer to ${request.split('\r\n')[0]}`, () => isAnswered() || socket.closed)
  }
  socket.end()
  if (!socket.closed) await once(socket, 'close')
  return answers.split('HTTP/1.1 ').slice(1)
}

t.test('a wish for HTTP/2 is ignored on every route, and its connection goes on', async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  const requests: [string, string | null, RegExp][] = [
    ['GET / HTTP/1.1', null, /^200 OK/],
    ['GET /metrics HTTP/1.1', null, /^200 OK/],
    ['GET /status HTTP/1.1', null, /^200 OK/],
    ['GET /healthz HTTP/1.1', null, /^200 OK/],
    ['GET /readyz HTTP/1.1', null, /^200 OK/],
    ['GET /transactions HTTP/1.1', null, /^200 OK/],
    ['GET /nothing HTTP/1.1', null, /^404 Not Found/],
    ['POST /replay/tx-1 HTTP/1.1', '{"reason":"mended"}', /^200 OK/],
    ['GET /graphql?query=%7Bviewer%7Bname%7D%7D HTTP/1.1', null, /^200 OK[^]*"anonymous"/],
    ['POST /graphql HTTP/1.1', '{"query":"{ metrics { counts { total } } }"}', /^200 OK[^]*"total":"1"/],
  ]
  const answers = await send(
    port,
    requests.map(([line, body]) => wish(line, h2c, body)),
  )
  t.equal(answers.length, requests.length)
  for (const [at, [line, , answer]] of requests.entries()) t.match(answers[at], answer, line)
  const { rows } = await pool.query(`select reason from message_events where type = 'replayed'`)
  t.strictSame(rows, [{ reason: 'mended' }], 'the body was read')
})

t.test('any other protocol is ignored too, and WebSocket is taken at /graphql alone', async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  const [tls, list, elsewhere, old, post, alive] = await send(port, [
    wish('GET /healthz HTTP/1.1', 'Connection: upgrade\r\nUpgrade: TLS/1.3\r\n'),
    wish('GET /graphql?query=%7Bviewer%7Bname%7D%7D HTTP/1.1', 'Connection: upgrade\r\nUpgrade: a/1, b\r\n'),
    wish('GET /metrics HTTP/1.1', `Connection: Upgrade\r\nUpgrade: websocket\r\n${key}`),
    wish(
      'GET /graphql?query=%7Bviewer%7Bname%7D%7D HTTP/1.0',
      `Connection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n${key}`,
    ),
    wish('POST /graphql HTTP/1.1', `Connection: Upgrade\r\nUpgrade: websocket\r\n${key}`, '{}'),
    wish('GET /healthz HTTP/1.1', 'Connection: close\r\n'),
  ])
  t.match(tls, /^200 OK/)
  t.match(list, /^200 OK[^]*"anonymous"/)
  t.match(elsewhere, /^200 OK[^]*"pending"/)
  t.match(old, /^401 [^]*HTTP\/1\.0/, 'HTTP/1.0 knows no other protocols')
  t.match(post, /"errors"/, 'and a handshake is a GET')
  t.match(alive, /^200 OK/)

  const client = createClient({
    url: `ws://127.0.0.1:${port}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
  })
  t.teardown(() => client.dispose())
  const answered = await client.iterate({ query: '{ viewer { name } }' }).next()
  t.match(answered.value, { data: { viewer: { name: 'anonymous' } } })
})

t.test(
  "Java's own HTTP client, as it comes, is answered on every route",
  { skip: withoutJava },
  async (t) => {
    const { pool } = await database(t)
    const { port } = await startService(t, pool)
    await storeDeadLetters(pool, ['tx-1'])
    const service = `http://localhost:${port}`
    const asked = [
      `GET ${service}/metrics`,
      `GET ${service}/transactions`,
      `GET ${service}/nothing`,
      `POST ${service}/replay/tx-1 {"reason": "mended"}`,
      `POST ${service}/graphql {"query": "{ viewer { name } }"}`,
    ]
    const file = join(import.meta.dirname, 'Ask.java')
    const { stdout } = await promisify(execFile)('java', [file, ...asked])
    t.match(stdout.trim().split('\n'), [
      /^200 HTTP_1_1 .*"total":\d/,
      /^200 HTTP_1_1 .*"tx-1"/,
      /^404 HTTP_1_1 .*"detail"/,
      /^200 HTTP_1_1 .*"success":true/,
      /^200 HTTP_1_1 .*"anonymous"/,
    ])
  },
)
