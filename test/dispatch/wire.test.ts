import t from 'tap'
import { mostAhead, Wire } from '../../src/dispatch/wire.ts'
import type { Claim } from '../../src/log/write/to-claim.ts'
import type { MessageId, TransactionId } from '../../src/message/message.ts'
import { until } from '../support/until.ts'
import { flowing } from '../support/flowing.ts'
import { suspend } from '../support/suspend.ts'

const claim = (name: string, bytes = 2): Claim => ({
  messageId: '1' as MessageId,
  transactionId: name as TransactionId,
  attempt: 1,
  leaseEndsAt: 0n,
  retries: 0,
  payload: Buffer.alloc(bytes),
  traceparent: null,
  ageMs: 0,
})

const claims = (count: number, from = 0): Claim[] =>
  Array.from({ length: count }, (_, at) => claim(`tx-${from + at}`))

/** A wire whose requests end by hand. */
function setUp({ limit = 2, leaseMs = 60_000, timeoutMs = 30_000 } = {}) {
  const sent: string[] = []
  const deadlines: number[] = []
  const dropped: [name: string, reason: string][] = []
  const open: (() => void)[] = []
  const wire = new Wire({
    limit,
    leaseMs,
    timeoutMs,
    destination: flowing,
    send: ({ transactionId }, deadlineAt) => {
      sent.push(transactionId)
      deadlines.push(deadlineAt)
      return new Promise((resolve) => open.push(resolve))
    },
    drop: ({ transactionId }, reason) => dropped.push([transactionId, reason]),
    onChange: () => undefined,
  })
  /** Ends so many requests, the oldest first. */
  const end = async (count: number): Promise<void> => {
    for (const done of open.splice(0, count)) done()
    await Promise.resolve()
  }
  return { wire, sent, deadlines, dropped, end }
}

/** Sends so many at once and ends all of them, which is a quick processor. */
async function hurry(wire: Wire, end: (count: number) => Promise<void>, count: number): Promise<void> {
  wire.add(claims(count), performance.now(), null)
  while (wire.sending > 0) await end(1)
}

t.test('no more than the limit are sent at once, and the next one as soon as one has ended', async (t) => {
  const { wire, sent, end } = setUp()
  wire.add(claims(5), performance.now(), null)
  t.same(sent, ['tx-0', 'tx-1'])
  t.match(wire, { sending: 2, waiting: 3 })
  await end(1)
  t.same(sent, ['tx-0', 'tx-1', 'tx-2'])
  t.match(wire, { sending: 2, waiting: 2 })
  await end(2)
  await end(2)
  t.same(sent, ['tx-0', 'tx-1', 'tx-2', 'tx-3', 'tx-4'], 'in order')
  t.match(wire, { sending: 0, waiting: 0 })
})

t.test('what was claimed before the machine was suspended is not sent', async (t) => {
  const { wire, sent, dropped, end } = setUp({ limit: 1 })
  wire.add(claims(3), performance.now(), null)
  t.same(sent, ['tx-0'])
  suspend(t, 3_600_000)
  await end(1)
  t.strictSame(dropped, [
    ['tx-1', 'this machine was suspended'],
    ['tx-2', 'this machine was suspended'],
  ])
  wire.add(claims(1, 3), performance.now(), null)
  t.same(sent, ['tx-0', 'tx-3'])
})

t.test(
  'what is no attempt waits as long as its lease leaves it the timeout, and is not sent if it is refused',
  (t) => {
    const { wire, sent } = setUp({ limit: 1 })
    wire.add(claims(1), performance.now(), null)
    const told: string[] = []
    const other = {
      send: () => Promise.reject(new Error('sent')),
      drop: (reason: string) => told.push(reason),
    }
    wire.addOther(other, performance.now(), 'the destination is held')
    t.strictSame(told, ['the destination is held'])
    wire.addOther(other, performance.now(), null)
    t.match(wire, { sending: 1, waiting: 1 })
    wire.stop('the service is stopping')
    t.strictSame([sent, told], [['tx-0'], ['the destination is held', 'the service is stopping']])
    t.end()
  },
)

t.test('what is no attempt is dropped when its lease leaves it no time', async (t) => {
  const { wire } = setUp({ limit: 1 })
  wire.add(claims(1), performance.now(), null)
  const told: string[] = []
  const other = { send: () => Promise.reject(new Error('sent')), drop: (reason: string) => told.push(reason) }
  wire.addOther(other, performance.now() - 30_000, null)
  wire.addOther(other, performance.now(), null)
  await until('the first one to be dropped', () => told.length > 0)
  t.strictSame(told, ['the requests before it took too long'])
  t.match(wire, { sending: 1, waiting: 1 })
  wire.stop('the service is stopping')
})

t.test('a quick processor has claims waiting ahead, up to a cap, and one that hangs has none', async (t) => {
  const { wire, end } = setUp({ limit: 2 })
  t.equal(wire.ahead, 0, 'nothing before anything has ended')
  await until('the most to be claimed ahead', async () => {
    await hurry(wire, end, 500)
    return wire.ahead === 20
  })
  t.equal(mostAhead(2), 20, 'ten times the limit')
  t.equal(mostAhead(1_000), 2_000)
  wire.add(claims(2), performance.now(), null)
  await until('nothing to be claimed ahead any more', () => wire.ahead === 0)
  t.equal(wire.sending, 2)
})

t.test('less than a tenth of the limit is not claimed ahead', async (t) => {
  const { wire, end } = setUp({ limit: 1_000 })
  // 20 within half a second are 4 within the time that is claimed ahead for.
  await hurry(wire, end, 20)
  t.equal(wire.ahead, 0)
})

t.test('a lease that leaves no time to wait has nothing claimed ahead', async (t) => {
  const { wire, end } = setUp({ leaseMs: 31_000, timeoutMs: 30_000 })
  await hurry(wire, end, 500)
  t.equal(wire.ahead, 0)
})

t.test('while many bytes wait, nothing more is claimed ahead', async (t) => {
  const { wire, end } = setUp({ limit: 2 })
  await until('something to be claimed ahead', async () => {
    await hurry(wire, end, 500)
    return wire.ahead > 0
  })
  wire.add([...claims(2), claim('large', 32 * 1024 * 1024)], performance.now(), null)
  t.match(wire, { waiting: 1, ahead: 0 })
  await end(1)
  await hurry(wire, end, 500)
  t.equal(wire.waiting, 0)
  t.ok(wire.ahead > 0)
})

t.test('what waited too long is not sent, then or later', async (t) => {
  // So short a lease leaves hardly any time to wait.
  const { wire, sent, dropped, end } = setUp({ leaseMs: 2_000, timeoutMs: 1_000 })
  wire.add(claims(4), performance.now(), null)
  await until('the waiting attempts to be dropped', () => dropped.length > 0)
  t.same(
    dropped,
    ['tx-2', 'tx-3'].map((name) => [name, 'the requests before it took too long']),
  )
  await end(2)
  t.same(sent, ['tx-0', 'tx-1'])
  t.match(wire, { sending: 0, waiting: 0 })
})

t.test('a request that ends after a pause of the process does not send what waited over it', async (t) => {
  const { wire, sent, dropped, end } = setUp({ leaseMs: 2_000, timeoutMs: 1_000 })
  wire.add(claims(3), performance.now(), null)
  pause(700)
  await end(1)
  t.same(sent, ['tx-0', 'tx-1'])
  t.same(
    dropped.map(([name]) => name),
    ['tx-2'],
  )
})

t.test('a request has its whole timeout after it waited, and ends before its lease', async (t) => {
  const { wire, deadlines, end } = setUp({ limit: 1, leaseMs: 60_000, timeoutMs: 30_000 })
  wire.add(claims(2), performance.now(), null)
  pause(50)
  const before = performance.now()
  await end(1)
  const after = performance.now()
  t.ok(deadlines[1]! >= before + 30_000 && deadlines[1]! <= after + 30_000)

  const claimedAt = performance.now() - 40_000
  wire.add(claims(1, 2), claimedAt, null)
  await end(1)
  t.equal(deadlines[2], claimedAt + 59_000, 'a second before the end of its lease')
})

t.test('what the database confirmed only when its lease was nearly over is not sent', async (t) => {
  const { wire, sent, dropped } = setUp({ leaseMs: 2_000, timeoutMs: 1_000 })
  wire.add(claims(1), performance.now() - 1_000, null)
  t.same(sent, [])
  t.same(dropped, [['tx-0', 'its lease is nearly over']])
  t.match(wire, { sending: 0, waiting: 0 })
})

t.test('a stop drops what waits and what comes later, and leaves what is under way', async (t) => {
  const { wire, sent, dropped, end } = setUp()
  wire.add(claims(3), performance.now(), null)
  wire.stop('the service is stopping')
  t.same(dropped, [['tx-2', 'the service is stopping']])
  t.match(wire, { sending: 2, waiting: 0 })
  await end(2)
  wire.add(claims(1, 3), performance.now(), null)
  t.same(sent, ['tx-0', 'tx-1'])
  t.same(dropped[1], ['tx-3', 'the service is stopping'])
})

/** As a process that is stopped for a moment, or busy. */
function pause(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}
