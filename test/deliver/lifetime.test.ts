import dns from 'node:dns'
import { networkInterfaces, platform } from 'node:os'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { Outcome } from '../../src/message/outcome.ts'
import { until } from '../support/until.ts'
import { answer, send, startDeliverer, startProcessor, type Behaviour } from './processor.ts'

const [before, after] = ['127.0.0.1', '127.0.0.2']
const withinMs = 10_000
// Elsewhere a loopback interface has the one address.
const skip = platform() === 'linux' && networkInterfaces().lo !== undefined ? false : `needs ${after}`

/** A name that leads to one address and then to another; of what is tried here only DNS is not real. */
function resolveTo(t: Test, address: string): { move: (to: string) => void } {
  const { lookup } = dns
  let current = address
  dns.lookup = ((name: string, options: dns.LookupOptions, callback: (...given: unknown[]) => void) => {
    if (name !== 'processor.test') lookup(name, options, callback)
    else setImmediate(callback, null, ...(options.all ? [[{ address: current, family: 4 }]] : [current, 4]))
  }) as typeof dns.lookup
  t.teardown(() => {
    dns.lookup = lookup
  })
  return { move: (to) => (current = to) }
}

async function startBoth(t: Test, behave: Behaviour) {
  const old = await startProcessor(t, behave, { host: before })
  const port = Number(old.url.port)
  const next = await startProcessor(t, (socket) => socket.write(answer('200 OK')), { host: after, port })
  return { old, next, url: new URL(`http://processor.test:${port}/process`) }
}

t.test(
  'under full load a processor that has moved is followed, and no request is lost',
  { skip },
  async (t) => {
    const { old, next, url } = await startBoth(t, (socket) => socket.write(answer('200 OK')))
    const name = resolveTo(t, before)
    const deliverer = startDeliverer(t, url, { connections: 4, connectionLifetimeMs: 200 })
    const outcomes: Outcome[] = []
    let stopped = false
    let begun = 0
    const work = async () => {
      while (!stopped) outcomes.push(await send(deliverer, `key-${begun++}`))
    }
    // More than there are connections: none is ever idle.
    const workers = Array.from({ length: 12 }, work)
    try {
      await until('requests at the old address', () => old.requests.length > 100, withinMs)
      name.move(after)
      await until('no connection to the old address', () => old.sockets.size === 0, withinMs)
      const moved = next.requests.length
      await until('requests at the new address', () => next.requests.length > moved + 100, withinMs)
    } finally {
      stopped = true
      await Promise.all(workers)
    }
    t.strictSame(new Set(outcomes.map(({ kind }) => kind)), new Set(['accepted']))
    const seen = [...old.requests, ...next.requests].map(({ key }) => key)
    t.equal(new Set(seen).size, begun, 'each has arrived')
    t.equal(seen.length, begun, 'and none twice')
  },
)

t.test('a request that takes longer than a connection lives is not broken', { skip }, async (t) => {
  const held: Socket[] = []
  const { old, next, url } = await startBoth(t, (socket, { key }) => {
    if (key === 'slow') held.push(socket)
    else socket.write(answer('200 OK'))
  })
  const name = resolveTo(t, before)
  const deliverer = startDeliverer(t, url, { connections: 2, connectionLifetimeMs: 100 })
  const slow = send(deliverer, 'slow')
  await until('the slow request', () => held.length === 1, withinMs)
  name.move(after)
  // These can only go to the new address once a connection that was made later has lived its time.
  t.match(await send(deliverer, 'other'), { kind: 'accepted' })
  await until(
    'two connections to have ended their lives: together they are longer than the longest',
    async () => {
      t.match(await send(deliverer, 'other'), { kind: 'accepted' })
      return next.connections > 2
    },
    withinMs,
  )
  held[0]?.write(answer('200 OK'))
  t.match(await slow, { kind: 'accepted' })
  t.equal(old.connections, 1)
  // Its connection is past its time: whoever comes next is sent elsewhere.
  const many = await Promise.all(Array.from({ length: 20 }, () => send(deliverer, 'last')))
  t.strictSame(new Set(many.map(({ kind }) => kind)), new Set(['accepted']))
  t.strictSame(
    old.requests.map(({ key }) => key),
    ['slow'],
  )
})
