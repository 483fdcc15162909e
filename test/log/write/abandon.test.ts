import t from 'tap'
import pg from 'pg'
import { readClock } from '../../../src/log/server/read-clock.ts'
import { abandon, findExpired, type Expired } from '../../../src/log/write/abandon.ts'
import { countMissed } from '../../../src/log/write/count-missed.ts'
import type { Lease } from '../../../src/log/write/lease.ts'
import type { Decision } from '../../../src/message/decide.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import {
  accepted,
  deadLetter,
  fresh,
  lookOnce,
  noGrace,
  openAttempt,
  openAttempts,
  pendingMessage,
  retry,
  retryAtOnce,
  session,
  settle,
  settleOne,
  settlement,
  stateOf,
  typesOf,
  unavailable,
  waitsFor,
} from '../support.ts'

const hourMs = 3_600_000

async function expired(pool: pg.Pool, lease: Lease = noGrace): Promise<Expired[]> {
  return findExpired(pool, lease, '-infinity', 100)
}

/** A grace that the server's own start does not fulfil, however long ago that was. */
async function graceBeyondStart(pool: pg.Pool): Promise<number> {
  return Math.ceil(await readUptimeMs(pool)) + hourMs
}

async function readUptimeMs(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ ms: number }>(
    'select (extract(epoch from clock_timestamp() - pg_postmaster_start_time()) * 1000)::float8 as ms',
  )
  return rows[0]!.ms
}

/** The attempt's lease ended that long ago. */
async function endLease(pool: pg.Pool, ago: string): Promise<void> {
  await pool.query(
    `update message_states set lease_ends_at = clock_timestamp() - $1::interval where status = 'processing'`,
    [ago],
  )
  await pool.query('update lease_checks set lease_ends_at = clock_timestamp() - $1::interval', [ago])
}

t.test('an attempt whose lease ended is found, and ends as abandoned: failed, due at once', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool, 0)
  await openAttempt(pool, 60_000)
  const found = await expired(pool)
  t.match(found, [{ messageId, attempt: 1, retries: 0, inARow: false }])
  t.equal(found.length, 1)
  const answers = await abandon(pool, retry, [{ expired: found[0]!, decision: retryAtOnce }], noGrace)
  t.strictSame(answers, ['appended'])
  t.match(await stateOf(pool, messageId), {
    status: 'failed',
    retry_count: 1,
    attempts: 1,
    claimed_by: null,
    error_message: 'abandoned: its lease ended with no outcome',
    outcome_unknown: true,
  })
  const { rows } = await pool.query(
    `select type, actor, attempt, outcome, due_at = recorded_at as at_once from message_events
     where message_id = $1 and version = 3`,
    [messageId],
  )
  t.strictSame(rows, [
    { type: 'attempt_abandoned', actor: retry, attempt: 1, outcome: 'unknown', at_once: true },
  ])
  t.match((await lookOnce(pool, 'retry')).claims, [{ messageId, attempt: 2, retries: 1 }])
})

t.test('a second abandonment in a row is told apart, and a replay begins anew', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool, 0)
  const lease = { ...noGrace, leaseMs: 0 }
  const abandonOne = async (decision: Decision) => {
    const [found] = await expired(pool)
    await abandon(pool, retry, [{ expired: found!, decision }], noGrace)
    return found!.inARow
  }
  t.equal(await abandonOne(retryAtOnce), false)
  t.equal((await lookOnce(pool, 'retry', { lease })).claims.length, 1)
  t.equal(await abandonOne(deadLetter), true)
  const { transaction_id } = await stateOf(pool, messageId)
  await pool.query(`select replay_messages(array[$1], 'alice', 'again', null)`, [transaction_id])
  t.equal((await lookOnce(pool, 'fresh', { lease })).claims.length, 1)
  t.equal(await abandonOne(retryAtOnce), false)
})

t.test('a failure between two abandonments breaks the row', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool, 0)
  const lease = { ...noGrace, leaseMs: 0 }
  const [first] = await expired(pool)
  await abandon(pool, retry, [{ expired: first!, decision: retryAtOnce }], noGrace)
  await lookOnce(pool, 'retry', { lease })
  t.equal(await settleOne(pool, retry, messageId, 2, unavailable), 'appended')
  await lookOnce(pool, 'retry', { lease })
  // A late failure of the first attempt says nothing about the second.
  t.equal(await settleOne(pool, fresh, messageId, 1, unavailable), 'late')
  t.match(await expired(pool), [{ attempt: 3, inARow: false }])
})

t.test('an abandoned attempt without a retry left is a dead letter in the same transaction', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool, 0)
  const [found] = await expired(pool)
  t.strictSame(await abandon(pool, retry, [{ expired: found!, decision: deadLetter }], noGrace), ['appended'])
  t.strictSame((await typesOf(pool, messageId)).slice(2), ['attempt_abandoned', 'dead_lettered'])
  t.match(await stateOf(pool, messageId), {
    status: 'dead_letter',
    retry_count: 0,
    due_at: null,
    outcome_unknown: true,
    error_message: 'abandoned: its lease ended with no outcome',
  })
})

t.test('an outcome that was stored first wins, and the others of the batch are abandoned', async (t) => {
  const { pool } = await database(t)
  const [a, b, c] = await openAttempts(pool, 3, 0)
  const found = await expired(pool)
  await settleOne(pool, fresh, b!, 1, accepted)
  const abandonments = found.map((expired) => ({ expired, decision: retryAtOnce }))
  t.strictSame(await abandon(pool, retry, abandonments, noGrace), ['appended', 'stale', 'appended'])
  t.equal((await stateOf(pool, b!)).status, 'success')
  t.strictSame([(await stateOf(pool, a!)).status, (await stateOf(pool, c!)).status], ['failed', 'failed'])
})

t.test('an abandonment that waits for an outcome to be committed is stale', async (t) => {
  const { pool, url } = await database(t)
  const messageId = await openAttempt(pool, 0)
  const [found] = await expired(pool)
  const settler = await session(t, url)
  const taker = await session(t, url)
  await settler.database.query('begin')
  t.equal(await settleOne(settler.database, fresh, messageId, 1, accepted), 'appended')
  const taking = abandon(taker.database, retry, [{ expired: found!, decision: retryAtOnce }], noGrace)
  await waitsFor(pool, taker, settler, taking)
  await settler.database.query('commit')
  t.strictSame(await taking, ['stale'])
  t.equal((await typesOf(pool, messageId)).length, 3)
})

t.test('an outcome that waits for an abandonment to be committed is late', async (t) => {
  const { pool, url } = await database(t)
  const messageId = await openAttempt(pool, 0)
  const [found] = await expired(pool)
  const settler = await session(t, url)
  const taker = await session(t, url)
  await taker.database.query('begin')
  await abandon(taker.database, retry, [{ expired: found!, decision: retryAtOnce }], noGrace)
  const settling = settleOne(settler.database, fresh, messageId, 1, unavailable)
  await waitsFor(pool, settler, taker, settling)
  await taker.database.query('commit')
  t.equal(await settling, 'late')
  t.match(await stateOf(pool, messageId), { status: 'failed', retry_count: 1 })
})

t.test('two that take over one attempt at once abandon it once', async (t) => {
  const { pool, url } = await database(t)
  const messageId = await openAttempt(pool, 0)
  const [found] = await expired(pool)
  const one = await session(t, url)
  const other = await session(t, url)
  await one.database.query('begin')
  const batch = [{ expired: found!, decision: retryAtOnce }]
  const first = await abandon(one.database, 'instance-1/retry', batch, noGrace)
  const second = abandon(other.database, 'instance-2/retry', batch, noGrace)
  await waitsFor(pool, other, one, second)
  await one.database.query('commit')
  t.strictSame([first, await second], [['appended'], ['stale']])
  t.equal((await typesOf(pool, messageId)).length, 3)
})

t.test('batches of settlements and abandonments in opposite order do not deadlock', async (t) => {
  const { pool } = await database(t)
  for (let round = 0; round < 5; round++) {
    const ids = await openAttempts(pool, 30, 0)
    const found = await expired(pool)
    const abandonments = found.toReversed().map((expired) => ({ expired, decision: retryAtOnce }))
    const settlements = ids.map((messageId) => settlement(messageId, 1, accepted))
    const [ended, settled] = await Promise.all([
      abandon(pool, retry, abandonments, noGrace),
      settle(pool, fresh, settlements),
    ])
    t.equal(ended.length, 30)
    t.ok(settled.every((answer, at) => answer === (ended[29 - at] === 'appended' ? 'late' : 'appended')))
  }
})

t.test('a lease is left alone until the grace after the reconnect is over', async (t) => {
  const { pool } = await database(t)
  await openAttempt(pool, 0)
  await endLease(pool, '1 hour')
  const [found] = await expired(pool)
  const cutOff: Lease = { leaseMs: 60_000, graceMs: hourMs, reconnectedAt: await readClock(pool) }
  t.strictSame(await expired(pool, cutOff), [])
  t.strictSame(await abandon(pool, retry, [{ expired: found!, decision: retryAtOnce }], cutOff), ['stale'])
  t.strictSame(await countMissed(pool, 'retry', cutOff), { missed: 0, isHeldUp: false })
  const { dueInMs, expired: isExpired } = await lookOnce(pool, 'retry', { lease: cutOff })
  t.equal(isExpired, false)
  t.ok(dueInMs! > hourMs - 60_000 && dueInMs! <= hourMs, String(dueInMs))
})

t.test('a lease is left alone until the grace after the start of the server is over', async (t) => {
  const { pool } = await database(t)
  await openAttempt(pool, 0)
  await endLease(pool, '1 hour')
  const [found] = await expired(pool)
  const restarted: Lease = { ...noGrace, graceMs: await graceBeyondStart(pool) }
  t.strictSame(await expired(pool, restarted), [])
  t.strictSame(await abandon(pool, retry, [{ expired: found!, decision: retryAtOnce }], restarted), ['stale'])
  t.strictSame(await countMissed(pool, 'retry', restarted), { missed: 0, isHeldUp: false })
  const { dueInMs, expired: isExpired } = await lookOnce(pool, 'retry', { lease: restarted })
  t.equal(isExpired, false)
  t.ok(dueInMs! > hourMs - 60_000 && dueInMs! <= hourMs, String(dueInMs))
})

t.test('a lease that ends after the grace is left alone until it ends', async (t) => {
  const { pool } = await database(t)
  await openAttempt(pool, hourMs)
  t.strictSame(await expired(pool), [])
  const { dueInMs } = await lookOnce(pool, 'retry')
  t.ok(dueInMs! > hourMs - 60_000 && dueInMs! <= hourMs, String(dueInMs))
})

t.test('missed are those of the lane that were due for over ten seconds', async (t) => {
  const { pool, url } = await database(t)
  const late = await pendingMessage(pool)
  await pendingMessage(pool)
  t.strictSame(await countMissed(pool, 'fresh', noGrace), { missed: 0, isHeldUp: false })
  await pool.query(
    `update message_states set due_at = due_at - interval '11 seconds' where message_id = $1`,
    [late],
  )
  t.strictSame(await countMissed(pool, 'fresh', noGrace), { missed: 1, isHeldUp: false })
  t.strictSame(await countMissed(pool, 'retry', noGrace), { missed: 0, isHeldUp: false })
  await openAttempt(pool, 0)
  t.strictSame(await countMissed(pool, 'retry', noGrace), { missed: 0, isHeldUp: false })
  // A lease that ended before the server's start counts from there, and the gate may have started it just now.
  await until('the server to have been up for as long', async () => (await readUptimeMs(pool)) > 11_000)
  await endLease(pool, '11 seconds')
  const living = new pg.Client({
    connectionString: url,
    application_name: 'transaction-queue-proxy listen instance-1',
  })
  await living.connect()
  t.strictSame(await countMissed(pool, 'retry', noGrace), { missed: 0, isHeldUp: true }, 'its instance lives')
  await living.end()
  await until('its session to be gone', async () => (await countMissed(pool, 'retry', noGrace)).missed > 0)
  t.strictSame(await countMissed(pool, 'retry', noGrace), { missed: 1, isHeldUp: false })
})
