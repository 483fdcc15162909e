import t from 'tap'
import { replay, type ReplayAnswer } from '../../../src/log/write/replay.ts'
import type { MessageId } from '../../../src/message/message.ts'
import { database } from '../../support/database.ts'
import {
  accepted,
  deadLetter,
  fresh,
  idOf,
  lookOnce,
  newName,
  openAttempt,
  pendingMessage,
  record,
  refused,
  rejectedRecord,
  retry,
  session,
  settleOne,
  stateOf,
  store,
  topic,
  typesOf,
  unavailable,
  waitsFor,
} from '../support.ts'

const { pool, url } = await database(t)

async function ask(
  messageId: MessageId,
  { actor = 'alice', reason = 'fixed', key = null as string | null, database = pool } = {},
): Promise<ReplayAnswer> {
  const { transaction_id } = await stateOf(pool, messageId)
  return replay(database, { transactionId: transaction_id, actor, reason, requestKey: key })
}

async function dead(): Promise<MessageId> {
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, refused, deadLetter)
  return messageId
}

t.test('a dead letter is opened again: pending, due now, no retries, no error, on the log', async (t) => {
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, unavailable)
  await lookOnce(pool, 'retry')
  await settleOne(pool, retry, messageId, 2, unavailable, deadLetter)
  t.match(await stateOf(pool, messageId), { retry_count: 1, error_message: 'HTTP 503' })
  t.strictSame(await ask(messageId, { reason: 'the processor is back', key: 'k' }), {
    kind: 'replayed',
    version: 7,
    status: 'pending',
  })
  t.match(await stateOf(pool, messageId), {
    status: 'pending',
    retry_count: 0,
    attempts: 2,
    error_message: null,
    claimed_by: null,
  })
  const { rows } = await pool.query(
    `select type, actor, reason, request_key, due_at = recorded_at as due_now from message_events
     where message_id = $1 and version = 7`,
    [messageId],
  )
  t.strictSame(rows, [
    {
      type: 'replayed',
      actor: 'alice',
      reason: 'the processor is back',
      request_key: 'k',
      due_now: true,
    },
  ])
  const { claims } = await lookOnce(pool, 'fresh')
  t.match(
    claims.find((claim) => claim.messageId === messageId),
    { attempt: 3, retries: 0 },
  )
})

t.test('only a dead letter is replayed; the others say what they are', async (t) => {
  const pending = await pendingMessage(pool)
  const processing = await openAttempt(pool)
  const failed = await openAttempt(pool)
  await settleOne(pool, fresh, failed, 1, unavailable, { then: 'retry', delayMs: 3_600_000 })
  const success = await openAttempt(pool)
  await settleOne(pool, fresh, success, 1, accepted)
  for (const [status, messageId] of Object.entries({ pending, processing, failed, success })) {
    const before = await stateOf(pool, messageId)
    t.strictSame(await ask(messageId), { kind: 'not_replayable', status })
    t.strictSame(await stateOf(pool, messageId), before)
  }
})

t.test('a rejected or conflicting record is never replayed', async (t) => {
  const name = newName()
  await store(pool, [record(0, name), record(1, name, { bytes: 'other' }), rejectedRecord(2, 'x', 40)], {
    partition: 40,
  })
  for (const transactionId of [`record:${topic}:40:1`, `record:${topic}:40:2`]) {
    t.strictSame(await ask(await idOf(pool, transactionId)), {
      kind: 'not_replayable',
      status: 'dead_letter',
    })
  }
})

t.test('an unknown id is unknown, and so is one that differs only by case', async (t) => {
  const messageId = await dead()
  const { transaction_id } = await stateOf(pool, messageId)
  for (const transactionId of ['nobody', '', '%', `' or true --`, transaction_id.toUpperCase()]) {
    const request = { transactionId, actor: 'alice', reason: 'why', requestKey: null }
    t.strictSame(await replay(pool, request), { kind: 'unknown' })
  }
})

t.test('of 20 replays at once one is accepted', async (t) => {
  const messageId = await dead()
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(messageId)))
  t.equal(answers.filter((answer) => answer.kind === 'replayed').length, 1)
  t.equal(answers.filter((answer) => answer.kind === 'not_replayable').length, 19)
  t.equal((await typesOf(pool, messageId)).filter((type) => type === 'replayed').length, 1)
})

t.test('of 20 replays at once under one key one is accepted and the others repeat its answer', async (t) => {
  const messageId = await dead()
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(messageId, { key: 'once' })))
  t.equal(answers.filter((answer) => answer.kind === 'replayed').length, 1)
  t.equal(answers.filter((answer) => answer.kind === 'repeated').length, 19)
  t.same([...new Set(answers.map((answer) => 'version' in answer && answer.version))], [5])
})

t.test('a replay that waits for another one sees what it did', async (t) => {
  const messageId = await dead()
  const one = await session(t, url)
  const other = await session(t, url)
  await one.database.query('begin')
  t.match(await ask(messageId, { database: one.database }), { kind: 'replayed' })
  const second = ask(messageId, { database: other.database, key: 'mine' })
  await waitsFor(pool, other, one, second)
  await one.database.query('commit')
  t.strictSame(await second, { kind: 'not_replayable', status: 'pending' })
})

t.test('an accepted key is remembered for ever, by operator and message, with its reason', async (t) => {
  const messageId = await dead()
  t.match(await ask(messageId, { key: 'k1' }), { kind: 'replayed', version: 5 })
  t.strictSame(await ask(messageId, { key: 'k1' }), { kind: 'repeated', version: 5, status: 'pending' })
  t.strictSame(await ask(messageId, { key: 'k1', reason: 'other' }), { kind: 'key_reused' })
  t.match(await ask(messageId, { key: 'k1', actor: 'bob' }), { kind: 'not_replayable' })
  t.match(await ask(messageId, { key: 'k2' }), { kind: 'not_replayable' })
  await lookOnce(pool, 'fresh')
  await settleOne(pool, fresh, messageId, 2, refused, deadLetter)
  t.strictSame(await ask(messageId, { key: 'k1' }), { kind: 'repeated', version: 5, status: 'dead_letter' })
  t.match(await ask(messageId, { key: 'k2' }), { kind: 'replayed', version: 9 }, 'a refusal left no trace')
  t.match(await ask(await dead(), { key: 'k1' }), { kind: 'replayed' }, 'another message')
})
