import t from 'tap'
import { Lane } from '../../src/dispatch/lane.ts'
import type { Claim } from '../../src/log/write/claim.ts'
import type { MessageId, TransactionId } from '../../src/message/message.ts'
import { until } from '../support/until.ts'
import { flowing } from '../support/flowing.ts'

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

t.test('a lane whose requests hang has no room for more, although it may claim ahead', async (t) => {
  const lane = await quickLane()
  t.not(lane.roomSince, null)
  lane.start(claims(2), performance.now())
  t.equal(lane.roomSince, null, 'what is due now waits for a request and not for a wake-up')
  await until('nothing to be claimed ahead any more', () => lane.room === 0)
  t.equal(lane.roomSince, null)
})
