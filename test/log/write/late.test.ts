import t from 'tap'
import { abandon, findExpired } from '../../../src/log/write/abandon.ts'
import type { Decision } from '../../../src/message/decide.ts'
import type { MessageId } from '../../../src/message/message.ts'
import { database } from '../../support/database.ts'
import {
  accepted,
  deadLetter,
  fresh,
  noGrace,
  openAttempt,
  refused,
  retry,
  retryAtOnce,
  settleOne,
  startAttempt,
  stateOf,
  typesOf,
  unavailable,
  unknown,
} from '../support.ts'

const { pool } = await database(t)

/** A message whose first attempt was abandoned by another instance. */
async function abandoned(decision: Decision = retryAtOnce): Promise<MessageId> {
  const messageId = await openAttempt(pool, 0)
  const expired = (await findExpired(pool, noGrace, '-infinity', 100)).find(
    (each) => each.messageId === messageId,
  )
  if (expired === undefined) throw new Error('its lease has not ended')
  const answers = await abandon(pool, 'instance-2/retry', [{ expired, decision }], noGrace)
  if (answers[0] !== 'appended') throw new Error('the attempt was not abandoned')
  return messageId
}

t.test('a failure after abandonment is written down and changes nothing', async (t) => {
  const messageId = await abandoned()
  const before = await stateOf(pool, messageId)
  t.equal(await settleOne(pool, fresh, messageId, 1, unavailable, retryAtOnce), 'late')
  const after = await stateOf(pool, messageId)
  t.match(after, {
    ...before,
    version: before.version + 1,
    position: /./,
    recorded_at: after.recorded_at,
    error_message: 'abandoned: its lease ended with no outcome',
  })
  t.equal((await typesOf(pool, messageId)).at(-1), 'late_result_observed')
})

t.test('a refusal after abandonment does not make a dead letter', async (t) => {
  const messageId = await abandoned()
  t.equal(await settleOne(pool, fresh, messageId, 1, refused, deadLetter), 'late')
  t.match(await stateOf(pool, messageId), { status: 'failed', retry_count: 1 })
})

t.test('a failure of an abandoned attempt leaves the attempt that is open meanwhile open', async (t) => {
  const messageId = await abandoned()
  await startAttempt(pool, messageId, retry)
  t.equal(await settleOne(pool, fresh, messageId, 1, unknown, retryAtOnce), 'late')
  t.match(await stateOf(pool, messageId), { status: 'processing', attempts: 2, claimed_by: retry })
  t.equal(await settleOne(pool, retry, messageId, 2, accepted), 'appended')
  t.match(await stateOf(pool, messageId), { status: 'success', attempts: 2 })
})

t.test('an accepted answer after abandonment is the truth: the message is a success', async (t) => {
  const messageId = await abandoned()
  t.equal(await settleOne(pool, fresh, messageId, 1, accepted), 'late')
  t.match(await stateOf(pool, messageId), {
    status: 'success',
    retry_count: 1,
    due_at: null,
    error_message: null,
    outcome_unknown: true,
  })
})

t.test('an accepted answer makes a success of a dead letter, and of a replayed one', async (t) => {
  const dead = await abandoned(deadLetter)
  t.equal((await stateOf(pool, dead)).status, 'dead_letter')
  t.equal(await settleOne(pool, fresh, dead, 1, accepted), 'late')
  t.equal((await stateOf(pool, dead)).status, 'success')

  const replayed = await abandoned(deadLetter)
  const { transaction_id } = await stateOf(pool, replayed)
  await pool.query(`select replay_messages(array[$1], 'alice', 'again', null)`, [transaction_id])
  t.equal((await stateOf(pool, replayed)).status, 'pending')
  t.equal(await settleOne(pool, fresh, replayed, 1, accepted), 'late')
  t.match(await stateOf(pool, replayed), { status: 'success', due_at: null })
})

t.test('an accepted answer while another attempt is open supersedes it, in one transaction', async (t) => {
  const messageId = await abandoned()
  await startAttempt(pool, messageId, retry)
  t.equal(await settleOne(pool, fresh, messageId, 1, accepted), 'late')
  t.match(await stateOf(pool, messageId), {
    status: 'success',
    attempts: 2,
    retry_count: 1,
    due_at: null,
    claimed_by: null,
    error_message: null,
  })
  const { rows } = await pool.query(
    `select type, attempt, status, outcome, reason, xmin = (
       select xmin from message_events where message_id = $1 order by version desc limit 1) as together
     from message_events where message_id = $1 and version > 4 order by version`,
    [messageId],
  )
  t.match(rows, [
    {
      type: 'attempt_abandoned',
      attempt: 2,
      status: 'failed',
      outcome: 'unknown',
      reason: 'superseded: attempt 1 was accepted late',
      together: true,
    },
    { type: 'late_result_observed', attempt: 1, status: 'success', outcome: 'accepted', together: true },
  ])
})

t.test('the outcome of the superseded attempt is late itself and leaves the success', async (t) => {
  const messageId = await abandoned()
  await startAttempt(pool, messageId, retry)
  await settleOne(pool, fresh, messageId, 1, accepted)
  const before = await stateOf(pool, messageId)
  t.equal(await settleOne(pool, retry, messageId, 2, refused, deadLetter), 'late')
  t.match(await stateOf(pool, messageId), {
    status: 'success',
    attempts: 2,
    error_message: null,
    updated_at: before.updated_at,
  })
})

t.test('a late result whose COMMIT answer was lost is there already', async (t) => {
  for (const outcome of [unavailable, accepted]) {
    const messageId = await abandoned()
    t.equal(await settleOne(pool, fresh, messageId, 1, outcome, retryAtOnce), 'late')
    const before = await stateOf(pool, messageId)
    t.equal(await settleOne(pool, fresh, messageId, 1, outcome, retryAtOnce), 'already')
    t.strictSame(await stateOf(pool, messageId), before)
  }
})

t.test('a late failure followed by a late accepted answer is a success', async (t) => {
  const messageId = await abandoned()
  t.equal(await settleOne(pool, fresh, messageId, 1, unknown, retryAtOnce), 'late')
  t.equal(await settleOne(pool, fresh, messageId, 1, accepted), 'late')
  t.equal((await stateOf(pool, messageId)).status, 'success')
})
