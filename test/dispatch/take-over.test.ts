import t from 'tap'
import { Lane } from '../../src/dispatch/lane.ts'
import { Outage } from '../../src/dispatch/outage.ts'
import { takeOver } from '../../src/dispatch/take-over.ts'
import { createMetrics } from '../../src/metrics.ts'
import { recordLines } from '../ingest/harness.ts'
import { openAttempts, typesOf } from '../log/support.ts'
import { database } from '../support/database.ts'

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
    lane: new Lane('retry', 'instance-2', 5, 1_000, () => undefined),
    database: pool,
    // Of a server that has only just started leases are kept for this time and five seconds more.
    outage: new Outage(60_000, -5_000),
    policy: { retriesMax: 5, baseDelayMs: 0, maxDelayMs: 0 },
    metrics: createMetrics('test'),
    logger: recordLines().logger,
    isHeld: () => false,
    lookFrom: '-infinity',
  })
  t.equal(taken, 19)
  t.match(refusal, {
    transactionId: 'tx-8',
    attempt: 1,
    reason: /not take the end of an attempt: duplicate key/,
  })
  t.strictSame(await typesOf(pool, broken), ['received', 'attempt_started', 'succeeded'])
  t.strictSame(await typesOf(pool, ids[8]!), ['received', 'attempt_started', 'attempt_abandoned'])
})
