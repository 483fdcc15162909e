import t from 'tap'
import { settle as settleNamed } from '../../../src/log/write/settle.ts'
import type { MessageId, TransactionId } from '../../../src/message/message.ts'
import { database } from '../../support/database.ts'
import {
  accepted,
  deadLetter,
  fresh,
  newName,
  openClaims,
  openAttempt,
  openAttempts,
  pendingMessage,
  refused,
  retry,
  session,
  settle,
  settleOne,
  settlement,
  startAttempt,
  stateOf,
  typesOf,
  unavailable,
  unknown,
  waitsFor,
} from '../support.ts'

const { pool, url } = await database(t)

t.test('an accepted outcome ends its message in success', async (t) => {
  const messageId = await openAttempt(pool)
  t.equal(await settleOne(pool, fresh, messageId, 1, accepted), 'appended')
  t.match(await stateOf(pool, messageId), {
    status: 'success',
    version: 3,
    attempts: 1,
    retry_count: 0,
    due_at: null,
    claimed_by: null,
    error_message: null,
    outcome_unknown: false,
  })
  const { rows } = await pool.query(
    `select type, actor, attempt, outcome, status_code, duration_ms, reason
     from message_events where message_id = $1 and version = 3`,
    [messageId],
  )
  t.match(rows, [
    {
      type: 'succeeded',
      actor: fresh,
      attempt: 1,
      outcome: 'accepted',
      status_code: 200,
      duration_ms: 12,
      reason: null,
    },
  ])
})

t.test('a failure that is retried waits for its delay by the clock of the database', async (t) => {
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, unknown, { then: 'retry', delayMs: 90_000 })
  t.match(await stateOf(pool, messageId), {
    status: 'failed',
    retry_count: 1,
    attempts: 1,
    claimed_by: null,
    error_message: 'timeout, sent, no answer',
    outcome_unknown: true,
  })
  const { rows } = await pool.query<{ delay: string }>(
    'select (due_at - recorded_at)::text as delay from message_events where message_id = $1 and version = 3',
    [messageId],
  )
  t.equal(rows[0]?.delay, '00:01:30')
})

t.test('a failure that is not retried is a dead letter in the same transaction, with why', async (t) => {
  const [first, second] = await openAttempts(pool, 2)
  const answers = await settle(pool, fresh, [
    settlement(first!, 1, refused, deadLetter),
    settlement(second!, 1, unavailable, deadLetter),
  ])
  t.strictSame(answers, ['appended', 'appended'])
  t.match(await stateOf(pool, first!), {
    status: 'dead_letter',
    version: 4,
    retry_count: 0,
    due_at: null,
    error_message: 'HTTP 400',
  })
  const { rows } = await pool.query(
    `select dead.reason, dead.xmin = failed.xmin as together
     from message_events dead join message_events failed using (message_id)
     where dead.type = 'dead_lettered' and failed.type = 'attempt_failed' and message_id = any ($1) order by message_id`,
    [[first, second]],
  )
  t.strictSame(rows, [
    { reason: 'refused', together: true },
    { reason: 'retries exhausted', together: true },
  ])
})

t.test(
  'an unknown outcome that is not retried is a dead letter at once, and so while failures are spared',
  async (t) => {
    const { pool } = await database(t)
    const [flowing, held] = await openAttempts(pool, 2)
    await settle(pool, fresh, [settlement(flowing!, 1, unknown, deadLetter)])
    await pool.query(`select pause_destination('default', 'alice', 'why', null)`)
    t.strictSame(await settle(pool, fresh, [settlement(held!, 1, unknown, deadLetter)]), ['appended'])
    for (const messageId of [flowing!, held!]) {
      t.match(await stateOf(pool, messageId), {
        status: 'dead_letter',
        outcome_unknown: true,
        retry_count: 0,
      })
      const { rows } = await pool.query(
        `select reason from message_events where message_id = $1 and type = 'dead_lettered'`,
        [messageId],
      )
      t.strictSame(rows, [{ reason: 'outcome unknown, of a status that is not retried' }])
    }
  },
)

t.test('a settlement whose COMMIT answer was lost may be sent again: it is there already', async (t) => {
  const [a, b, c] = await openAttempts(pool, 3)
  const batch = [
    settlement(a!, 1, accepted),
    settlement(b!, 1, unavailable),
    settlement(c!, 1, refused, deadLetter),
  ]
  t.strictSame(await settle(pool, fresh, batch), ['appended', 'appended', 'appended'])
  const before = await pool.query('select * from message_events order by message_id, version')
  t.strictSame(await settle(pool, fresh, batch), ['already', 'already', 'already'])
  const after = await pool.query('select * from message_events order by message_id, version')
  t.strictSame(after.rows, before.rows)
})

t.test('the same settlement again is there already after the next attempt has started too', async (t) => {
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, unavailable)
  await startAttempt(pool, messageId, retry)
  t.equal(await settleOne(pool, fresh, messageId, 1, unavailable), 'already')
  t.match(await stateOf(pool, messageId), { status: 'processing', attempts: 2, claimed_by: retry })
})

t.test('an attempt that the log does not know does not fail its batch', async (t) => {
  const messageId = await openAttempt(pool)
  const pending = await pendingMessage(pool)
  const answers = await settle(pool, fresh, [
    settlement('9007199254740993' as MessageId, 1, accepted),
    settlement(pending, 1, accepted),
    settlement(messageId, 2, accepted),
    settlement(messageId, 0, accepted),
  ])
  t.strictSame(answers, ['stray', 'stray', 'stray', 'stray'])
  const mixed = [settlement(pending, 1, accepted), settlement(messageId, 1, accepted)]
  t.strictSame(await settle(pool, fresh, mixed), ['stray', 'appended'])
  t.match(await stateOf(pool, pending), { status: 'pending', version: 1 })
})

t.test('each settlement has the answer at its own place, whatever the order of the ids', async (t) => {
  const [a, b] = await openAttempts(pool, 2)
  const c = await pendingMessage(pool)
  await settleOne(pool, fresh, b!, 1, accepted)
  const batch = [settlement(c, 1, accepted), settlement(b!, 1, accepted), settlement(a!, 1, accepted)]
  t.strictSame(await settle(pool, fresh, batch), ['stray', 'already', 'appended'])
})

t.test('text that PostgreSQL refuses is cleaned before it comes to the batch', async (t) => {
  const messageId = await openAttempt(pool)
  const outcome = { ...unavailable, reason: `a\0b\u202e\ud800c${'é'.repeat(5000)}` }
  t.equal(await settleOne(pool, fresh, messageId, 1, outcome), 'appended')
  const { error_message } = await stateOf(pool, messageId)
  t.match(error_message, /^a b cé+$/)
  t.ok(Buffer.byteLength(error_message!) <= 2048)
})

t.test('batches that name the same messages in opposite order take turns', async (t) => {
  const [a, b] = await openAttempts(pool, 2)
  const one = await session(t, url)
  const other = await session(t, url)
  await one.database.query('begin')
  await other.database.query('begin')
  const batch = [settlement(b!, 1, accepted), settlement(a!, 1, unavailable)]
  t.strictSame(await settle(one.database, fresh, batch), ['appended', 'appended'])
  const second = settle(other.database, fresh, batch.toReversed())
  await waitsFor(pool, other, one, second)
  await one.database.query('commit')
  t.strictSame(await second, ['already', 'already'])
  await other.database.query('commit')
})

t.test('a batch locks its messages in the order of their ids, whatever its own order', async (t) => {
  const [a, b] = await openAttempts(pool, 2)
  const holder = await session(t, url)
  const settler = await session(t, url)
  await holder.database.query('begin')
  await holder.database.query('select from message_states where message_id = $1 for no key update', [a])
  const settled = settle(settler.database, fresh, [settlement(b!, 1, accepted), settlement(a!, 1, accepted)])
  await waitsFor(pool, settler, holder, settled)
  // Nobody holds b while a is waited for: the other order would be half a deadlock.
  const { rowCount } = await holder.database.query(
    'select from message_states where message_id = $1 for no key update nowait',
    [b],
  )
  t.equal(rowCount, 1)
  await holder.database.query('commit')
  t.strictSame(await settled, ['appended', 'appended'])
})

t.test(
  'an outcome of another lane than the one that started the attempt is not recorded as its',
  async (t) => {
    const messageId = await openAttempt(pool)
    t.equal(await settleOne(pool, 'instance-2/fresh', messageId, 1, accepted), 'stray')
    t.match(await stateOf(pool, messageId), { status: 'processing', claimed_by: fresh, retry_count: 0 })
    t.equal(await settleOne(pool, fresh, messageId, 1, accepted), 'appended')
    t.strictSame(await typesOf(pool, messageId), ['received', 'attempt_started', 'succeeded'])
  },
)

t.test(
  "an outcome never reaches another payment's message, though a failover gave it the same id, attempt and lane",
  async (t) => {
    const [claim] = await openClaims(pool)
    const other = { ...settlement(claim!.messageId, 1, accepted), leaseEndsAt: claim!.leaseEndsAt }
    const answers = await settleNamed(pool, fresh, [{ ...other, transactionId: newName() as TransactionId }])
    t.strictSame(answers, ['stray'])
    t.match(await stateOf(pool, claim!.messageId), { status: 'processing', version: 2 })
    t.strictSame(await settleNamed(pool, fresh, [{ ...other, transactionId: claim!.transactionId }]), [
      'appended',
    ])
  },
)

t.test(
  'an outcome of an attempt that a failover took out of the log does not end the one that has its number now',
  async (t) => {
    const [claim] = await openClaims(pool)
    const lost = { ...settlement(claim!.messageId, 1, accepted), transactionId: claim!.transactionId }
    t.strictSame(await settleNamed(pool, fresh, [{ ...lost, leaseEndsAt: claim!.leaseEndsAt - 1n }]), [
      'stray',
    ])
    t.match(await stateOf(pool, claim!.messageId), { status: 'processing', version: 2 })
    t.strictSame(await settleNamed(pool, fresh, [{ ...lost, leaseEndsAt: claim!.leaseEndsAt }]), ['appended'])
  },
)
