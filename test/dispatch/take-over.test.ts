import pg from 'pg'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { Lane } from '../../src/dispatch/lane.ts'
import { Outage } from '../../src/dispatch/outage.ts'
import { takeOver } from '../../src/dispatch/take-over.ts'
import { countMissed } from '../../src/log/count-missed.ts'
import { createMetrics } from '../../src/metrics.ts'
import { noGrace, openAttempt, stateOf } from '../log/support.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'

/** An attempt of instance-1 whose lease has ended, as a clock that was set forward ends it; the taker is another instance. */
async function setUp(t: Test, taker = 'instance-2') {
  const { pool, url } = await database(t)
  const messageId = await openAttempt(pool, 0)
  const lane = new Lane('retry', taker, 10, 1_000, () => undefined)
  const take = (mayLive: boolean): Promise<number> =>
    takeOver({
      lane,
      database: pool,
      outage: { lease: () => noGrace } as unknown as Outage,
      policy: { retriesMax: 5, baseDelayMs: 100, maxDelayMs: 1_000 },
      metrics: createMetrics('test'),
      logger: pino({ level: 'silent' }),
      isHeld: () => false,
      mayLive: () => mayLive,
      lookFrom: '-infinity',
    })
  const listening = async (): Promise<pg.Client> => {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'transaction-queue-proxy listen instance-1',
    })
    await client.connect()
    return client
  }
  return { pool, messageId, take, listening }
}

t.test('nothing is taken from an instance that lives, whatever the clock says of its lease', async (t) => {
  const { pool, messageId, take, listening } = await setUp(t)
  const session = await listening()
  t.equal(await take(true), 0)
  t.equal((await stateOf(pool, messageId)).status, 'processing')
  t.equal(await countMissed(pool, 'retry', noGrace), 0)
  await session.end()
  await until('its session to be gone', async () => (await take(true)) === 1)
  t.equal((await stateOf(pool, messageId)).status, 'failed')
})

t.test('what a frozen instance holds is taken over, though its session stays', async (t) => {
  const { take, listening } = await setUp(t)
  const session = await listening()
  t.equal(await take(false), 1)
  await session.end()
})

t.test('an instance takes over from itself what it no longer holds', async (t) => {
  const { take, listening } = await setUp(t, 'instance-1')
  const session = await listening()
  t.equal(await take(true), 1)
  await session.end()
})
