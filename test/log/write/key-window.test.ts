import t from 'tap'
import type { Pool } from 'pg'
import { advanceDestination } from '../../../src/log/write/advance-destination.ts'
import { replay, type ReplayAnswer } from '../../../src/log/write/replay.ts'
import type { MessageId } from '../../../src/message/message.ts'
import type { Outcome } from '../../../src/message/outcome.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import {
  accepted,
  deadLetter,
  fresh,
  lookOnce,
  openAttempt,
  refused,
  retry,
  settleOne,
  startAttempt,
  stateOf,
  typesOf,
  unavailable,
  unknown,
} from '../support.ts'

// An attempt must end within the window, and its lease is 60 s. So one of these is always over, and the other never.
const over = { keyWindowMs: 59_000 }
const remembered = { keyWindowMs: 3_600_000 }
const reason = 'outcome unknown, and the processor may have forgotten its key'

/** A message whose attempts ended so, one after the other. The last one made it a dead letter, or it is due again. */
async function tried(pool: Pool, outcomes: Outcome[], isDead = false): Promise<MessageId> {
  const messageId = await openAttempt(pool)
  for (const [at, outcome] of outcomes.entries()) {
    if (at > 0) await startAttempt(pool, messageId, retry)
    const isLast = at === outcomes.length - 1
    const by = at === 0 ? fresh : retry
    if (isLast && isDead) await settleOne(pool, by, messageId, at + 1, outcome, deadLetter)
    else await settleOne(pool, by, messageId, at + 1, outcome)
  }
  return messageId
}

async function open(
  pool: Pool,
  messageId: MessageId,
  confirmNotCarriedOut = false,
  window = over,
): Promise<ReplayAnswer> {
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  const request = { transactionId, actor: 'alice', reason: 'asked the bank', requestKey: null }
  return replay(pool, { ...request, confirmNotCarriedOut }, { ...window, leaseMs: 60_000 })
}

t.test(
  'a message in doubt whose key may be forgotten becomes a dead letter in place of an attempt',
  async (t) => {
    const { pool } = await database(t)
    const messageId = await tried(pool, [unknown])
    const { transaction_id: transactionId } = await stateOf(pool, messageId)
    const { claims, forgotten } = await lookOnce(pool, 'retry', over)
    t.strictSame(claims, [])
    t.strictSame(forgotten, [{ transactionId, attempt: 1 }])
    t.match(await stateOf(pool, messageId), {
      status: 'dead_letter',
      attempts: 1,
      retry_count: 1,
      due_at: null,
      outcome_unknown: true,
      error_message: 'timeout, sent, no answer',
    })
    const { rows } = await pool.query(
      `select type, actor, attempt, reason from message_events where message_id = $1 order by version desc limit 1`,
      [messageId],
    )
    t.strictSame(rows, [{ type: 'dead_lettered', actor: retry, attempt: null, reason }])
    t.strictSame((await lookOnce(pool, 'retry', over)).forgotten, [], 'and is not looked at again')
  },
)

t.test('while the destination is held, those are ended without using up a probe', async (t) => {
  const { pool } = await database(t)
  const doubtful: MessageId[] = []
  for (let count = 0; count < 3; count++) doubtful.push(await tried(pool, [unknown]))
  const sure = await tried(pool, [unavailable])
  const policy = { holdAfter: 1, brakeAfter: 0, probeEveryMs: 0 }
  t.equal((await advanceDestination(pool, 'default', 'instance-1/guard', policy, 0)).state, 'held')
  const { claims, forgotten } = await lookOnce(pool, 'retry', over)
  t.equal(forgotten.length, 3)
  t.match(claims, [{ messageId: sure }], 'the probe is the payment behind them')
  for (const messageId of doubtful) t.equal((await stateOf(pool, messageId)).status, 'dead_letter')
  const again = await lookOnce(pool, 'retry', over)
  t.strictSame([again.claims, again.forgotten], [[], []], 'one probe at a time')
})

t.test('it is sent again while its key is remembered, and without a window for ever', async (t) => {
  const { pool } = await database(t)
  for (const window of [remembered, {}]) {
    const messageId = await tried(pool, [unknown])
    const { claims, forgotten } = await lookOnce(pool, 'retry', window)
    t.strictSame(
      claims.map((claim) => claim.messageId),
      [messageId],
    )
    t.strictSame(forgotten, [])
    await settleOne(pool, retry, messageId, 2, accepted)
  }
})

t.test(
  'what says nothing of the attempt in doubt leaves it in doubt; an answer to the payment ends it',
  async (t) => {
    const { pool } = await database(t)
    const notSent: Outcome = { kind: 'not_sent', reason: 'connection refused' }
    const doubtful = [
      await tried(pool, [unknown, unavailable]),
      await tried(pool, [unavailable, unknown, notSent]),
    ]
    const sure = [await tried(pool, [unavailable, notSent]), await tried(pool, [unknown, refused])]
    const { claims } = await lookOnce(pool, 'retry', over)
    t.strictSame(
      claims.map((claim) => claim.messageId),
      sure,
    )
    for (const messageId of doubtful) t.match(await stateOf(pool, messageId), { status: 'dead_letter' })
  },
)

t.test('the window begins with the first attempt that may have been sent', async (t) => {
  const { pool } = await database(t)
  const notSent: Outcome = { kind: 'not_sent', reason: 'connection refused' }
  const messageId = await tried(pool, [notSent, notSent, unknown, unavailable])
  const { rows } = await pool.query(
    `select attempt from message_events
      where message_id = $1 and type = 'attempt_started' and recorded_at = key_window_ends_at($1, 0)`,
    [messageId],
  )
  t.strictSame(rows, [{ attempt: 3 }])
})

t.test('an abandoned attempt leaves doubt too', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool, 0)
  await pool.query(
    `select abandon_attempts('instance-2/retry', array[message_id], array[1], array[lease_ends_at], array[0]::bigint[], '-infinity', 0, array[null]::bigint[])
      from message_states where message_id = $1`,
    [messageId],
  )
  t.equal((await lookOnce(pool, 'retry', over)).forgotten.length, 1)
  t.match(await stateOf(pool, messageId), { status: 'dead_letter' })
})

t.test('others that are due start in the same look, also at the end of the room', async (t) => {
  const { pool } = await database(t)
  await tried(pool, [unknown])
  const sure = await tried(pool, [unavailable])
  const first = await lookOnce(pool, 'retry', { ...over, room: 1 })
  t.equal(first.forgotten.length + first.claims.length, 1)
  const { claims } = first.claims.length === 1 ? first : await lookOnce(pool, 'retry', { ...over, room: 1 })
  t.strictSame(
    claims.map((claim) => claim.messageId),
    [sure],
  )
})

t.test('a replay of it is refused, and names when the key was forgotten', async (t) => {
  const { pool } = await database(t)
  const messageId = await tried(pool, [unknown], true)
  const { rows } = await pool.query<{ at: string }>(
    `select to_char((recorded_at + interval '59 seconds') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
      from message_events where message_id = $1 and type = 'attempt_started'`,
    [messageId],
  )
  t.strictSame(await open(pool, messageId), { kind: 'key_window_passed', endedAt: rows[0]!.at })
  t.match(await stateOf(pool, messageId), { status: 'dead_letter' })
  t.match(await open(pool, messageId, false, remembered), { kind: 'replayed' })
})

t.test('a replay needs no confirmation where there is no doubt, and none is kept', async (t) => {
  const { pool } = await database(t)
  for (const [outcomes, confirmed] of [
    [[refused], false],
    [[unknown, refused], false],
    [[refused], true],
  ] as const) {
    const messageId = await tried(pool, [...outcomes], true)
    t.match(await open(pool, messageId, confirmed), { kind: 'replayed' })
    const { rows } = await pool.query(
      `select confirmed_not_carried_out from message_events where message_id = $1 and type = 'replayed'`,
      [messageId],
    )
    t.strictSame(rows, [{ confirmed_not_carried_out: null }])
  }
})

t.test('a confirmation that is given while the window lasts holds when it is over', async (t) => {
  const { pool } = await database(t)
  const messageId = await tried(pool, [unknown], true)
  t.match(await open(pool, messageId, true, remembered), { kind: 'replayed' })
  const { claims, forgotten } = await lookOnce(pool, 'fresh', over)
  t.match([claims, forgotten], [[{ messageId }], []])
})

t.test('a confirmed replay is sent, and is in doubt again after the next unknown outcome', async (t) => {
  const { pool } = await database(t)
  const messageId = await tried(pool, [unknown], true)
  t.match(await open(pool, messageId, true), { kind: 'replayed', version: 5 })
  const { rows } = await pool.query(
    `select actor, reason, confirmed_not_carried_out from message_events where message_id = $1 and type = 'replayed'`,
    [messageId],
  )
  t.strictSame(rows, [{ actor: 'alice', reason: 'asked the bank', confirmed_not_carried_out: true }])
  t.equal((await lookOnce(pool, 'fresh', over)).claims.length, 1)
  await settleOne(pool, fresh, messageId, 2, unavailable)
  t.equal((await lookOnce(pool, 'retry', over)).claims.length, 1, 'a 503 leaves no doubt')
  await settleOne(pool, retry, messageId, 3, unknown)
  t.equal((await lookOnce(pool, 'retry', over)).forgotten.length, 1)
  t.match(await open(pool, messageId), { kind: 'key_window_passed' })
})

t.test('a message that was replayed in time, and whose turn comes too late, is not sent', async (t) => {
  const { pool } = await database(t)
  const messageId = await tried(pool, [unknown], true)
  t.match(await open(pool, messageId, false, remembered), { kind: 'replayed' })
  t.equal((await lookOnce(pool, 'fresh', over)).forgotten.length, 1)
  t.strictSame((await typesOf(pool, messageId)).slice(-2), ['replayed', 'dead_lettered'])
  t.match(await stateOf(pool, messageId), { status: 'dead_letter', retry_count: 0 })
})

t.test('what an operator confirms while a look waits to lock it, is not forgotten', async (t) => {
  const { pool } = await database(t)
  const messageId = await tried(pool, [unknown], true)
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  const [operator, lane] = [await pool.connect(), await pool.connect()]
  const endForgotten = () =>
    lane.query(
      `select message_id from end_forgotten('pending', $1, clock_timestamp() + interval '1 minute', 60000, $2, false)`,
      [fresh, over.keyWindowMs],
    )
  // From the second time on it waits where it reads the table, and no sooner.
  t.strictSame((await endForgotten()).rows, [])
  await operator.query('begin')
  await operator.query('lock table message_states in access exclusive mode')
  const looking = endForgotten()
  await until('the look to wait', async () => {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%from end_forgotten%'`,
    )
    return rowCount === 1
  })
  const request = { transactionId, actor: 'alice', reason: 'asked the bank', requestKey: null }
  const answer = await replay(
    operator,
    { ...request, confirmNotCarriedOut: true },
    { ...over, leaseMs: 60_000 },
  )
  t.match(answer, { kind: 'replayed' })
  await operator.query('commit')
  operator.release()
  t.strictSame((await looking).rows, [])
  lane.release()
  t.match(await stateOf(pool, messageId), { status: 'pending' })
  t.equal((await lookOnce(pool, 'fresh', over)).claims.length, 1)
})
