import t from 'tap'
import type { Pool } from 'pg'
import { findMessagesByReference } from '../../../src/log/read/find-messages.ts'
import { keepStray } from '../../../src/log/write/keep-stray.ts'
import { recordInquiry } from '../../../src/log/write/inquiry.ts'
import type { MessageId, TransactionId } from '../../../src/message/message.ts'
import type { Outcome } from '../../../src/message/outcome.ts'
import { database } from '../../support/database.ts'
import { rebuildAll } from '../../support/rebuild.ts'
import {
  accepted,
  fresh,
  idOf,
  lookOnce,
  newName,
  openAttempt,
  openAttempts,
  record,
  retry,
  settle,
  settleOne,
  settlement,
  startAttempt,
  stateOf,
  store,
  unavailable,
  unknown,
} from '../support.ts'

const { pool } = await database(t)

function called(outcome: Outcome, text: string): Outcome {
  return { ...outcome, reference: { text } }
}

/** What the events of a message call it, in their order. */
async function historyOf(database: Pool, messageId: MessageId): Promise<[type: string, reference: string][]> {
  const { rows } = await database.query<{ type: string; reference: string }>(
    `select type, reference from message_events where message_id = $1 and reference is not null order by version`,
    [messageId],
  )
  return rows.map(({ type, reference }) => [type, reference])
}

t.test('a reference stands in the event of its answer, and the last one in the state', async (t) => {
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, called(unavailable, 'first'))
  t.match(await stateOf(pool, messageId), { status: 'failed', reference: 'first' })
  await startAttempt(pool, messageId, retry)
  t.match(await stateOf(pool, messageId), { reference: 'first' })
  await settleOne(pool, retry, messageId, 2, unavailable)
  t.match(await stateOf(pool, messageId), { reference: 'first' }, 'an answer without one takes nothing away')
  await startAttempt(pool, messageId, retry)
  await settleOne(pool, retry, messageId, 3, called(accepted, 'third'))
  t.match(await stateOf(pool, messageId), { status: 'success', reference: 'third' })
  t.strictSame(await historyOf(pool, messageId), [
    ['attempt_failed', 'first'],
    ['succeeded', 'third'],
  ])
})

t.test('in one batch each attempt has its own, and a refused one is null', async (t) => {
  const [one, two, three] = await openAttempts(pool, 3)
  await settle(pool, fresh, [
    settlement(one!, 1, called(accepted, 'pay-one')),
    settlement(two!, 1, { ...accepted, reference: { fault: 'card_number' } }),
    settlement(three!, 1, { ...accepted, reference: null }),
  ])
  const states = await Promise.all([one!, two!, three!].map((id) => stateOf(pool, id)))
  t.match(states, [
    { status: 'success', reference: 'pay-one' },
    { status: 'success', reference: null },
    { status: 'success', reference: null },
  ])
})

t.test('a late answer and a stray one bring theirs', async (t) => {
  const late = await openAttempt(pool, 0)
  await settleOne(pool, fresh, late, 1, unknown)
  await settle(pool, fresh, [settlement(late, 1, called(accepted, 'late'))])
  t.match(await stateOf(pool, late), { status: 'success', reference: 'late' })

  const name = newName()
  await store(pool, [record(0, name)])
  const placed = await keepStray(
    pool,
    fresh,
    {
      ...settlement('1' as MessageId, 7, called(accepted, 'stray')),
      transactionId: name as TransactionId,
      leaseEndsAt: 1_700_000_000_000_123n,
    },
    record(0, name).payload!,
  )
  t.ok(placed)
  t.match(await stateOf(pool, await idOf(pool, name)), { status: 'success', reference: 'stray' })
})

t.test('a late failure does not rename its payment', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool, 0)
  await settleOne(pool, fresh, messageId, 1, unknown)
  await startAttempt(pool, messageId, retry)
  await settleOne(pool, retry, messageId, 2, called(accepted, 'payment'))
  await settle(pool, fresh, [settlement(messageId, 1, called(unavailable, 'error'))])
  t.strictSame(await historyOf(pool, messageId), [
    ['succeeded', 'payment'],
    ['late_result_observed', 'error'],
  ])
  t.match(await stateOf(pool, messageId), { status: 'success', reference: 'payment' })
  t.strictSame(await rebuildAll(pool), [])
})

t.test('the answer to an inquiry brings one, in the event `inquired`', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, unknown)
  const { inquiries } = await lookOnce(pool, 'retry', { inquires: true })
  const result = { answer: 'carried_out' as const, statusCode: 200, reason: 'HTTP 200 OK', durationMs: 3 }
  await recordInquiry(pool, retry, inquiries[0]!, {
    ...result,
    verdict: 'none',
    reference: { text: 'asked' },
    gapMs: 0,
    delayMs: 0,
  })
  t.match(await stateOf(pool, messageId), { status: 'success', reference: 'asked' })
  t.strictSame(await historyOf(pool, messageId), [['inquired', 'asked']])
})

t.test('a rebuild finds no difference, and repairs one', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, called(unavailable, 'first'))
  await startAttempt(pool, messageId, retry)
  await settleOne(pool, retry, messageId, 2, called(accepted, 'second'))
  t.strictSame(await rebuildAll(pool), [])
  await pool.query('update message_states set reference = null')
  t.match(await rebuildAll(pool), [{ column: 'reference', was: 'null', is: 'second' }])
  t.match(await stateOf(pool, messageId), { reference: 'second' })
})

t.test('payments are found by any reference that they had, the newest first, and each once', async (t) => {
  const [one, two, three] = await openAttempts(pool, 3)
  await settleOne(pool, fresh, one!, 1, called(unavailable, 'shared'))
  await startAttempt(pool, one!, retry)
  await settleOne(pool, retry, one!, 2, called(unavailable, 'shared'))
  await startAttempt(pool, one!, retry)
  await settleOne(pool, retry, one!, 3, called(accepted, 'only'))
  await settleOne(pool, fresh, two!, 1, called(accepted, 'shared'))
  await settleOne(pool, fresh, three!, 1, called(accepted, 'Shared'))
  const find = async (reference: string, rowsMax = 10) =>
    (await findMessagesByReference(pool, reference, rowsMax)).map(({ messageId }) => messageId)
  t.strictSame(await find('shared'), [two, one])
  t.strictSame(await find('shared', 1), [two])
  t.strictSame(await find('only'), [one])
  t.strictSame(await find('Shared'), [three])
  t.strictSame(await find('nobody'), [])
})

t.test('they are found by an index, in its order', async (t) => {
  const { pool } = await database(t)
  const ids = await openAttempts(pool, 50)
  await settle(
    pool,
    fresh,
    ids.map((id, at) => settlement(id, 1, at === 7 ? called(accepted, 'rare') : accepted)),
  )
  const client = await pool.connect()
  try {
    await client.query('set enable_seqscan = off')
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `explain select distinct e.message_id from message_events e where e.reference = 'rare' order by e.message_id desc limit 2`,
    )
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    t.match(plan, /Index Only Scan Backward using message_events_s\d+_reference_message_id_idx/)
    t.notMatch(plan, /Sort|Hash/, 'and in its order')
  } finally {
    client.release()
  }
})
