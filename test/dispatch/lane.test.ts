import t from 'tap'
import { Lane } from '../../src/dispatch/lane.ts'
import type { Claim } from '../../src/log/write/to-claim.ts'
import type { MessageId, TransactionId } from '../../src/message/message.ts'
import { until } from '../support/until.ts'
import { flowing } from '../support/flowing.ts'
import { suspend } from '../support/suspend.ts'

const claims = (count: number, from = 0): Claim[] =>
  Array.from({ length: count }, (_, at) => ({
    messageId: String(from + at) as MessageId,
    transactionId: `tx-${from + at}` as TransactionId,
    attempt: 1,
    leaseEndsAt: 0n,
    retries: 0,
    payload: Buffer.from('{}'),
    traceparent: null,
    ageMs: 0,
  }))

/** A lane of two whose requests end at once until it hangs. */
async function quickLane() {
  let hangs = false
  const lane = new Lane({
    name: 'fresh',
    instance: 'instance-1',
    limit: 2,
    leaseMs: 60_000,
    timeoutMs: 30_000,
    destination: flowing,
    send: () => (hangs ? new Promise(() => undefined) : Promise.resolve()),
    drop: () => undefined,
  })
  await until('the most to be claimed ahead', async () => {
    lane.start(claims(500), performance.now())
    await until('all to be sent', () => lane.sending + lane.waiting === 0)
    lane.close(claims(500))
    return lane.capacity === 22
  })
  hangs = true
  return lane
}

t.test('outcomes that wait to be stored leave room, as far as attempts may be open', async (t) => {
  const lane = await quickLane()
  t.match(lane, { room: 22, openMax: 22 }, 'two requests and twenty ahead')
  lane.start(claims(12), performance.now())
  t.match(lane, { sending: 2, waiting: 10, open: 12, room: 10 })
  lane.stop('the service is stopping')
  t.match(lane, { sending: 2, waiting: 0, open: 12, room: 10 }, 'ten that ended are to be stored')
  lane.close(claims(10, 2))
  t.match(lane, { open: 2, room: 20 })
})

t.test(
  'what was claimed by a transaction that was under way when the machine was suspended is not sent',
  (t) => {
    const sent: string[] = []
    const dropped: string[] = []
    const lane = new Lane({
      name: 'fresh',
      instance: 'instance-1',
      limit: 2,
      leaseMs: 60_000,
      timeoutMs: 30_000,
      destination: flowing,
      send: ({ transactionId }) => {
        sent.push(transactionId)
        return Promise.resolve()
      },
      drop: (_, reason) => dropped.push(reason),
    })
    const reservation = lane.reserve(1)
    suspend(t, 3_600_000)
    reservation.start(claims(1))
    t.strictSame(dropped, ['this machine was suspended'])
    lane.reserve(1).start(claims(1, 1))
    t.strictSame(sent, ['tx-1'])
    t.end()
  },
)

t.test(
  'requests that are no attempts share the limit with attempts, and slow ones take of the slow room',
  async (t) => {
    const lane = await quickLane()
    const sent: number[] = []
    const dropped: string[] = []
    const ends: (() => void)[] = []
    const ask = (at: number, isSlow = false, isSent = true): Promise<void> => {
      const send = (): Promise<void> => {
        sent.push(at)
        return new Promise((end) => ends.push(end))
      }
      return lane.request({ send, drop: (reason) => dropped.push(reason) }, isSlow, performance.now(), isSent)
    }
    lane.start(claims(1), performance.now())
    t.equal(lane.slowRoom, 1)
    const asked = [ask(0, true), ask(1), ask(2), ask(3, true)]
    t.strictSame(sent, [0], 'an attempt and one of them')
    t.match(lane, { sending: 2, waiting: 3, room: 17, slowRoom: 0, open: 1 })
    ends.shift()?.()
    await asked[0]
    t.equal(lane.slowRoom, 0, 'another one of its kind waits')
    await until('the next one to be sent', () => sent.length === 2)
    t.match(lane, { sending: 2, waiting: 2, room: 18 })
    lane.stop('the service is stopping')
    await Promise.all(asked.slice(2))
    t.match(lane, { sending: 2, waiting: 0, slowRoom: 1 })
    t.strictSame(
      [sent, dropped],
      [
        [0, 1],
        ['the service is stopping', 'the service is stopping'],
      ],
    )
  },
)

t.test('a lane whose requests hang has no room for more, although it may claim ahead', async (t) => {
  const lane = await quickLane()
  t.not(lane.roomSince, null)
  lane.start(claims(2), performance.now())
  t.equal(lane.roomSince, null, 'what is due now waits for a request and not for a wake-up')
  await until('nothing to be claimed ahead any more', () => lane.room === 0)
  t.equal(lane.roomSince, null)
})
