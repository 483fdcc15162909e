import type { Socket } from 'node:net'
import t from 'tap'
import type { OutcomeKind } from '../../src/message/outcome.ts'
import { answer, send, startDeliverer, startProcessor, type Request } from './processor.ts'

const deliveries = 3_000
const outstanding = 60

/** A small generator with a seed (mulberry32), so that a failure can be run again. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Everything that a processor does to a request, good and bad; mostly good, so that connections are used again. */
function behaviours(random: () => number): (socket: Socket, request: Request) => void {
  const half = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345'
  const faults: ((socket: Socket) => void)[] = [
    (socket) => socket.end(),
    (socket) => socket.destroy(),
    (socket) => socket.resetAndDestroy(),
    (socket) => socket.end(answer('200 OK')),
    (socket) => socket.write(answer('200 OK'), () => socket.destroy()),
    (socket) => socket.write(`${answer('200 OK')}garbage`),
    (socket) => socket.write('garbage\r\n'),
    (socket) => socket.end(half),
    (socket) => socket.write(half, () => socket.resetAndDestroy()),
    (socket) => socket.write(answer('200 OK', 'x'.repeat(100_000))),
    (socket) => socket.write(answer('200 OK', '', 'Connection: close\r\n')),
    () => undefined,
  ]
  return (socket) => {
    if (random() < 0.6) socket.write(answer(random() < 0.8 ? '200 OK' : '503 Down'))
    else setImmediate(faults[Math.floor(random() * faults.length)]!, socket)
  }
}

t.test(
  'whatever the processor does, no request is made twice, and one that was not sent was never seen',
  async (t) => {
    const seed = Date.now() % 1_000_000
    t.comment(`seed ${seed}`)
    const random = randomFrom(seed)
    const processor = await startProcessor(t, behaviours(random), {
      onConnection: (socket) => {
        // Connections end before, between and under requests as well.
        if (random() < 0.1) setTimeout(() => socket.destroy(), random() * 20)
      },
    })
    // And now and then one ends because it has lived its time.
    const deliverer = startDeliverer(t, processor.url, { connections: 20, connectionLifetimeMs: 100 })
    const kinds = new Map<string, OutcomeKind>()
    let next = 0
    const run = async () => {
      while (next < deliveries) {
        const key = `key-${next++}-`
        // Short deadlines: many pass while a request waits, connects, or is on its way.
        const { kind } = await send(deliverer, key, 20 + random() * 200)
        kinds.set(key, kind)
      }
    }
    await Promise.all(Array.from({ length: outstanding }, run))
    await deliverer.close()

    const seen = new Map<string, number>()
    for (const { key } of processor.requests) seen.set(key, (seen.get(key) ?? 0) + 1)
    t.strictSame(
      [...seen].filter(([, times]) => times > 1),
      [],
      'no request is made twice',
    )
    const received = processor.received()
    const of = (kind: OutcomeKind) => [...kinds].filter(([, each]) => each === kind).map(([key]) => key)
    t.strictSame(
      of('not_sent').filter((key) => received.includes(key)),
      [],
      'not a byte of what was not sent has arrived',
    )
    t.strictSame(
      [...of('accepted'), ...of('unavailable')].filter((key) => !seen.has(key)),
      [],
      'what was answered had been seen whole',
    )
    const counts = Object.fromEntries(
      (['accepted', 'unavailable', 'unknown', 'not_sent'] as const).map((kind) => [kind, of(kind).length]),
    )
    t.comment(JSON.stringify(counts))
    t.equal(kinds.size, deliveries, 'every delivery has an outcome')
    for (const [kind, count] of Object.entries(counts)) t.ok(count > 0, `some were ${kind}`)
  },
)
