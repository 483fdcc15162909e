import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { readDescriptorLimit } from '../../../src/runtime/read-descriptor-limit.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { startService, well } from '../service.ts'

/**
 * Slow and idle callers by turns; one that is cut off for its slowness comes back. They come a hundred at a time: more than the kernel
 * keeps for the service to accept would take themselves for connected and never be.
 */
function holdAll(t: Pick<Test, 'teardown'>, port: number, callers: number): void {
  const waiting = Array.from({ length: callers }, (_, at) => at)
  const open = new Set<Socket>()
  const hold = (at: number) => {
    const socket = connect(port, '127.0.0.1')
    open.add(socket)
    if (at % 2 === 0) socket.write('GET /metrics HTTP/1.1\r\nHost: lo')
    socket.on('error', () => undefined)
    socket.on('close', () => {
      open.delete(socket)
      waiting.push(at)
    })
  }
  const coming = setInterval(() => waiting.splice(0, 100).forEach(hold), 20)
  t.teardown(() => {
    clearInterval(coming)
    for (const socket of open) socket.destroy()
  })
}

t.test('when slow and idle callers take every connection, health and metrics are answered', async (t) => {
  const connectionsMax = 200
  const { pool } = await database(t)
  const { call, port, lines } = await startService(t, pool, () => well, undefined, { connectionsMax })
  holdAll(t, port, connectionsMax)
  const full = {
    status: 503,
    json: { detail: /^All connections are in use/ },
    headers: { 'retry-after': '5' },
  }
  await until('all connections to be taken', async () => (await call('GET', '/transactions')).status === 503)
  t.match(await call('GET', '/transactions'), full)
  t.match(await call('POST', '/replay/tx-1'), full)
  t.match(await call('GET', '/graphql?query=%7Bviewer%7Bname%7D%7D'), full)
  for (const path of ['/healthz', '/readyz', '/status', '/metrics'])
    t.match(await call('GET', path), { status: 200, headers: { connection: 'close' } }, path)
  const all = await Promise.all(Array.from({ length: 50 }, () => call('GET', '/healthz')))
  t.ok(all.every(({ status }) => status === 200))
  const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws')
  t.match((await new Promise<Error>((resolve) => socket.on('error', resolve))).message, '503')

  const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
  const read = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
  t.ok(read('tqp_http_connections') >= connectionsMax)
  t.ok(read('tqp_http_connections_over_limit_total') >= 58)
  const told = lines.filter(({ event }) => String(event).startsWith('HTTP connections are used up'))
  t.match(told, [{ level: 40, open: connectionsMax }])
  t.equal(told.length, 1, 'one line a minute')
})

// Both ends of each connection are this process's. Node itself raises the limit as far as it may.
const descriptorsNeeded = 2 * 2_000 + 500
const descriptors = readDescriptorLimit() ?? Infinity
const withoutDescriptors =
  descriptors < descriptorsNeeded &&
  `2,000 connections need ${descriptorsNeeded} file descriptors, and ulimit -Hn allows ${descriptors}`

t.test(
  '2,000 slow and idle callers are as many as a service lets in, and health and metrics are answered beside them',
  { skip: withoutDescriptors },
  async (t) => {
    const { pool } = await database(t)
    const { call, port, lines } = await startService(t, pool)
    holdAll(t, port, 2_000)
    // Those that are cut off for their slowness leave room for a moment.
    const isFull = async () => {
      const { status, headers } = await call('GET', '/transactions')
      return status === 503 && headers['retry-after'] === '5'
    }
    await until('all connections to be taken', isFull)
    for (let round = 0; round < 10; round++)
      for (const path of ['/healthz', '/readyz', '/status', '/metrics'])
        t.match(await call('GET', path), { status: 200 }, path)
    const told = lines.filter(({ event }) => String(event).startsWith('HTTP connections are used up'))
    t.match(told, [{ level: 40, open: 2_000 }])
    await until('the metrics to tell of them', async () => {
      const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
      return Number(/^tqp_http_connections (\d+)$/m.exec(text)?.[1]) >= 2_000
    })
  },
)

t.test('whoever holds a connection of the reserve is the first to lose it', async (t) => {
  const { pool } = await database(t)
  const { call, port } = await startService(t, pool, () => well, undefined, { connectionsMax: 0 })
  let closed = 0
  for (let at = 0; at < 100; at++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined).on('close', () => (closed += 1))
    t.teardown(() => socket.destroy())
  }
  t.equal((await call('GET', '/healthz')).status, 200)
  await until('those who came first to be cut off', () => closed >= 36)
  t.equal((await call('GET', '/healthz')).status, 200)
})
