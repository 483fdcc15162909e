import pg from 'pg'
import t, { type Test } from 'tap'
import { Outage } from '../../src/dispatch/outage.ts'
import { takeOver } from '../../src/dispatch/take-over.ts'
import { countMissed } from '../../src/log/write/count-missed.ts'
import type { MessageId } from '../../src/message/message.ts'
import { createMetrics } from '../../src/metrics.ts'
import { recordLines } from '../ingest/harness.ts'
import { noGrace, openAttempt, openAttempts, sameServer, stateOf, typesOf } from '../log/support.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { hangingLane } from './support.ts'

/** Of a server that has only just started leases are kept for this time and five seconds more. */
function noOutage(): Outage {
  return new Outage(60_000, -5_000, sameServer)
}

/** An attempt of instance-1 whose lease has ended, as a clock that was set forward ends it; the taker is another instance. */
async function setUp(t: Test, taker = 'instance-2') {
  const { pool, url } = await database(t)
  const messageId = await openAttempt(pool, 0)
  const lane = hangingLane('retry', taker, 10)
  const take = async (mayLive: boolean, held: readonly MessageId[] = []): Promise<number> => {
    const { taken } = await takeOver({
      lane,
      database: pool,
      outage: noOutage(),
      policy: { retriesMax: 5, baseDelayMs: 100, maxDelayMs: 1_000 },
      metrics: createMetrics('test'),
      logger: recordLines().logger,
      isHeld: ({ messageId }) => held.includes(messageId),
      countHeld: () => held.length,
      mayLive: () => mayLive,
      lookFrom: '-infinity',
    })
    return taken
  }
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
  t.strictSame(await countMissed(pool, 'retry', noGrace), { missed: 0, isHeldUp: false })
  await session.end()
  await until('its session to be gone', async () => (await take(true)) === 1)
  t.equal((await stateOf(pool, messageId)).status, 'failed')
})

/** Older than the attempts that are there, and more than are looked at at once. */
async function openMany(pool: pg.Pool, leasesEnd: string): Promise<MessageId[]> {
  const ids = await openAttempts(pool, 600, 0)
  await pool.query('update message_states set lease_ends_at = $2 where message_id = any ($1)', [
    ids,
    leasesEnd,
  ])
  return ids
}

t.test('however many attempts an instance that lives has, what others left is taken over', async (t) => {
  const { pool, messageId, take, listening } = await setUp(t)
  await pool.query(`update message_states set claimed_by = 'gone/fresh' where message_id = $1`, [messageId])
  const [alive] = await openMany(pool, '2026-01-01T00:00:00Z')
  const session = await listening()
  t.equal(await take(true), 1)
  t.equal((await stateOf(pool, messageId)).status, 'failed')
  t.equal((await stateOf(pool, alive!)).status, 'processing')
  t.equal(await take(true), 0, 'and nothing else')
  await session.end()
})

t.test('however many attempts this instance holds, what it no longer holds is taken over', async (t) => {
  const { pool, messageId, take, listening } = await setUp(t, 'instance-1')
  const held = await openMany(pool, '2026-01-01T00:00:00Z')
  const session = await listening()
  t.equal(await take(true, held), 1)
  t.equal((await stateOf(pool, messageId)).status, 'failed')
  await session.end()
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

t.test('an attempt whose end the log does not take keeps no other from being taken over', async (t) => {
  const { pool } = await database(t)
  const ids = await openAttempts(pool, 20, 0)
  const broken = ids[7]!
  await pool.query('alter table message_events disable trigger project')
  await pool.query(
    `insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, attempt, outcome)
      select message_id, version + 1, position, recorded_at, 'succeeded', 'other', 'success', 0, attempts, 'accepted'
      from message_states where message_id = $1`,
    [broken],
  )
  await pool.query('alter table message_events enable trigger project')
  const { taken, refusal } = await takeOver({
    lane: hangingLane('retry', 'instance-2', 5),
    database: pool,
    outage: noOutage(),
    policy: { retriesMax: 5, baseDelayMs: 0, maxDelayMs: 0 },
    metrics: createMetrics('test'),
    logger: recordLines().logger,
    isHeld: () => false,
    countHeld: () => 0,
    mayLive: () => false,
    lookFrom: '-infinity',
  })
  t.equal(taken, 19)
  t.match(refusal, {
    transactionId: (await stateOf(pool, broken)).transaction_id,
    attempt: 1,
    reason: /not take the end of an attempt: duplicate key/,
  })
  t.strictSame(await typesOf(pool, broken), ['received', 'attempt_started', 'succeeded'])
  t.strictSame(await typesOf(pool, ids[8]!), ['received', 'attempt_started', 'attempt_abandoned'])
})
