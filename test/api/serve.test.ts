import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import t from 'tap'
import { serve } from '../../src/api/serve.ts'
import { database } from '../support/database.ts'
import { startService, well } from './service.ts'

/** What the server answers to bytes that no HTTP client would send. */
async function sendRaw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  return readText(socket)
}

t.test('the root names the service, its version and every route', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const { json } = await call('GET', '/')
  t.match(json, { service: 'transaction-queue-proxy', version: '1.2.3' })
  const listed = (json as { routes: { method: string; path: string }[] }).routes
  t.strictSame(
    listed.map(({ method, path }) => `${method} ${path}`),
    [
      'GET /',
      'GET /metrics',
      'GET /status',
      'GET /healthz',
      'GET /readyz',
      'GET /transactions',
      'POST /replay/{transaction_id}',
      'POST /expunge/{transaction_id}',
    ],
  )
})

t.test('any other path is 404, and any other method is 405 with those allowed', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  for (const path of [
    '/nothing',
    '/metrics/',
    '/Metrics',
    '//',
    '/replay',
    '/replay/',
    '/replay/a/b',
    '/%6detrics',
    '*',
  ]) {
    t.match(await call('GET', path), { status: 404, json: { detail: String } }, path)
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']) {
    t.match(await call(method, '/metrics'), {
      status: 405,
      headers: { allow: 'GET, HEAD' },
      json: { detail: String },
    })
  }
  for (const method of ['GET', 'HEAD', 'PUT']) {
    t.match(await call(method, '/replay/tx-1'), { status: 405, headers: { allow: 'POST' } })
  }
})

t.test('HEAD answers as GET does, without the body', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const get = await call('GET', '/metrics?x=1')
  const head = await call('HEAD', '/metrics')
  t.match(head, { status: 200, text: '', headers: { 'content-length': get.headers['content-length']! } })
  t.equal((await call('HEAD', '/transactions?limit=0')).status, 400)
})

t.test('a target may be a whole URL', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  t.equal((await call('GET', 'http://proxy.example:80/metrics?x')).status, 200)
})

t.test('bytes that are not HTTP get an answer of the same shape', async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  t.match(await sendRaw(port, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 [^]*\{"detail":"Bad Request\."\}\n$/)
  const long = `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`
  t.match(await sendRaw(port, long), /^HTTP\/1\.1 431 [^]*\{"detail":/)
})

t.test('a port that is taken is told in one sentence that names it', async (t) => {
  const { pool } = await database(t)
  const { port, metrics } = await startService(t, pool)
  const access = { tokens: [], open: false, introspection: true }
  const dependencies = {
    database: pool,
    metrics,
    instance: 'i',
    release: 'r',
    health: () => well,
    access,
    reasonsRequired: false,
    keyWindow: { keyWindowMs: null, leaseMs: 0 },
    destination: { name: 'default', url: 'https://processor.test/process' },
    onEvents: () => () => undefined,
    certificates: () => [],
    onDestination: () => () => undefined,
    onJobs: () => () => undefined,
  }
  const logger = { warn: () => undefined } as never
  await t.rejects(serve({ host: '127.0.0.1', port }, { ...dependencies, logger }), {
    message: `PORT: 127.0.0.1:${port} is in use by another process: stop that one, or set another PORT.`,
  })
  await t.rejects(serve({ host: '192.0.2.1', port: 0 }, { ...dependencies, logger }), {
    message: 'HOST: 192.0.2.1 is not an address of this machine.',
  })
})

t.test('closing answers what is in hand and does not wait for connections that are kept open', async (t) => {
  const { pool } = await database(t)
  const { port, close } = await startService(t, pool)
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const idle = connect(port, '127.0.0.1')
  await once(idle, 'connect')
  // All of the pool's connections are in use, so that the request is in hand while the server closes.
  const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()))
  const open = request({ host: '127.0.0.1', port, path: '/metrics', agent }).end()
  const answered = once(open, 'response') as Promise<[IncomingMessage]>
  await until(() => pool.waitingCount > 0)
  const closed = close()
  for (const client of clients) client.release()
  const [response] = await answered
  t.match(response, { statusCode: 200, headers: { connection: 'close' } })
  await readText(response)
  await closed
  await t.rejects(sendRaw(port, 'GET / HTTP/1.1\r\n\r\n'), { code: 'ECONNREFUSED' })
  await close()
})

t.test(
  'a connection that breaks under a statement is an answer and not the end of the process',
  async (t) => {
    const { pool } = await database(t)
    const { call, lines } = await startService(t, pool)
    const blocker = await pool.connect()
    t.teardown(() => blocker.release())
    await blocker.query('begin')
    await blocker.query('lock table status_count_folds in access exclusive mode')
    const reply = call('GET', '/metrics')
    const waiting = `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    await until(async () => (await pool.query(waiting)).rowCount === 1)
    await pool.query(`select pg_terminate_backend(pid) from (${waiting}) waiting`)
    t.match(await reply, { status: 503, json: { detail: /^The database does not answer/ } })
    t.match(lines.at(-1), { event: 'request without the database', reason: /terminating connection/ })
    await blocker.query('rollback')
    t.equal((await call('GET', '/metrics')).status, 200)
  },
)

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve))
}
