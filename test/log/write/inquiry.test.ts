import t from 'tap'
import type { Pool } from 'pg'
import { recordInquiry, type Inquiry } from '../../../src/log/write/inquiry.ts'
import { advanceDestination } from '../../../src/log/write/advance-destination.ts'
import { look } from '../../../src/log/write/look.ts'
import { registerInstance } from '../../../src/log/write/register-instance.ts'
import { replay } from '../../../src/log/write/replay.ts'
import type { InquiryAnswer } from '../../../src/message/inquiry.ts'
import { database } from '../../support/database.ts'
import {
  accepted,
  fresh,
  lookOnce,
  noGrace,
  openAttempt,
  pendingMessage,
  refused,
  retry,
  settleOne,
  stateOf,
  typesOf,
  unavailable,
  unknown,
} from '../support.ts'

const asks = { inquires: true }
// An attempt must end within the window, and its lease is 60 s.
const over = { inquires: true, keyWindowMs: 59_000 }

async function inDoubt(pool: Pool) {
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, unknown)
  return messageId
}

/** Looks for the one inquiry that is due, and records its answer. */
async function answer(pool: Pool, answer: InquiryAnswer, doubt = asks, gapMs = 0): Promise<Inquiry> {
  const { inquiries, claims, forgotten } = await lookOnce(pool, 'retry', doubt)
  if (inquiries.length !== 1 || claims.length + forgotten.length > 0) throw new Error('it is not asked about')
  await record(pool, inquiries[0]!, answer, gapMs)
  return inquiries[0]!
}

async function record(pool: Pool, inquiry: Inquiry, answer: InquiryAnswer, gapMs = 0) {
  const result = { answer, statusCode: 200, reason: 'HTTP 200 OK', durationMs: 3, verdict: 'none' as const }
  return recordInquiry(pool, retry, inquiry, { ...result, gapMs, delayMs: 0 })
}

t.test('a message in doubt is asked about in place of an attempt, by one at a time', async (t) => {
  const { pool } = await database(t)
  const messageId = await inDoubt(pool)
  const { inquiries, claims } = await lookOnce(pool, 'retry', asks)
  t.strictSame(claims, [])
  t.match(inquiries, [{ messageId, attempt: 1, retries: 1 }])
  t.match(await stateOf(pool, messageId), { status: 'failed', attempts: 1, retry_count: 1, version: 4 })
  t.strictSame((await lookOnce(pool, 'retry', asks)).inquiries, [], 'until the lease ends')
  t.strictSame((await lookOnce(pool, 'retry')).claims, [], 'by whomever')
})

t.test(
  'of messages whose last attempt was slow no more are asked about than there is slow room',
  async (t) => {
    const { pool } = await database(t)
    for (let count = 0; count < 4; count++) await inDoubt(pool)
    await pool.query('update message_states set is_slow = true')
    const lookWith = (slow: number) =>
      look(pool, {
        lane: 'retry',
        actor: retry,
        room: { all: 100, slow },
        lease: noGrace,
        lookFrom: {},
        withLeases: false,
        doubt: {
          keyWindowMs: null,
          inquires: true,
        },
      })
    t.match((await lookWith(0)).inquiries, { length: 0 })
    const { inquiries, dueInMs } = await lookWith(3)
    t.strictSame(
      inquiries.map(({ isSlow }) => isSlow),
      [true, true, true],
    )
    t.equal(dueInMs, null, 'the fourth waits for one of them to end')
    await inDoubt(pool)
    t.match((await lookWith(1)).inquiries, [{ isSlow: true }, { isSlow: false }])
  },
)

t.test('what is not in doubt is sent without asking', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, unavailable)
  t.equal((await lookOnce(pool, 'retry', asks)).claims.length, 1)
})

t.test('carried out: the message is a success, by a late acceptance of its last attempt', async (t) => {
  const { pool } = await database(t)
  const messageId = await inDoubt(pool)
  await answer(pool, 'carried_out')
  t.match(await stateOf(pool, messageId), {
    status: 'success',
    attempts: 1,
    error_message: null,
    due_at: null,
  })
  t.strictSame((await typesOf(pool, messageId)).slice(3), [
    'inquiry_started',
    'inquired',
    'late_result_observed',
  ])
  const { rows } = await pool.query(
    `select inquiry, status_code, duration_ms, reason from message_events where message_id = $1 and type = 'inquired'`,
    [messageId],
  )
  t.strictSame(rows, [{ inquiry: 'carried_out', status_code: 200, duration_ms: 3, reason: 'HTTP 200 OK' }])
})

t.test('refused: the message is a dead letter, and not in doubt any more', async (t) => {
  const { pool } = await database(t)
  const messageId = await inDoubt(pool)
  await answer(pool, 'refused')
  t.match(await stateOf(pool, messageId), { status: 'dead_letter', due_at: null })
  const { rows } = await pool.query(
    `select reason from message_events where message_id = $1 and type = 'dead_lettered'`,
    [messageId],
  )
  t.strictSame(rows, [{ reason: 'refused' }])
  t.strictSame((await pool.query('select * from doubt_of($1)', [messageId])).rows, [])
})

t.test(
  'not found twice in a row, the gap apart: it is sent again, and asked about after the next doubt',
  async (t) => {
    const { pool } = await database(t)
    const messageId = await inDoubt(pool)
    for (const each of [
      'not_found',
      'no_answer',
      'not_found',
      'in_progress',
      'not_found',
      'not_found',
    ] as const)
      await answer(pool, each)
    const { claims } = await lookOnce(pool, 'retry', asks)
    t.match(claims, [{ messageId, attempt: 2 }])
    await settleOne(pool, retry, messageId, 2, unavailable)
    t.equal((await lookOnce(pool, 'retry', asks)).claims.length, 1, 'a 503 leaves no doubt')
    await settleOne(pool, retry, messageId, 3, unknown)
    await answer(pool, 'not_found', asks, 3_600_000)
    const { rows } = await pool.query(
      `select (due_at - recorded_at)::text as gap from message_events where message_id = $1 order by version desc limit 1`,
      [messageId],
    )
    t.strictSame(rows, [{ gap: '01:00:00' }])
    t.strictSame(await lookOnce(pool, 'retry', asks).then(({ inquiries }) => inquiries), [])
  },
)

t.test('a replay begins the count anew, and neither a hold nor a second one shortens the gap', async (t) => {
  const { pool } = await database(t)
  const messageId = await inDoubt(pool)
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  const decide = (decision: string) =>
    pool.query(`select decide_message($1, $2, 'alice', 'why')`, [transactionId, decision])
  await answer(pool, 'not_found')
  await decide('cancel')
  const request = { transactionId, actor: 'alice', reason: 'why', requestKey: null }
  t.match(await replay(pool, request), { kind: 'replayed' })
  const found = await lookOnce(pool, 'fresh', asks)
  t.match([found.inquiries, found.claims], [[{ messageId }], []])
  const hour = 3_600_000
  await record(pool, found.inquiries[0]!, 'not_found', hour)
  const { due_at: dueAt, status } = await stateOf(pool, messageId)
  t.equal(status, 'pending')
  for (let times = 0; times < 2; times++) {
    await decide('hold')
    await decide('release')
    t.strictSame((await stateOf(pool, messageId)).due_at, dueAt)
  }
  const { inquiries, claims } = await lookOnce(pool, 'fresh', asks)
  t.strictSame([inquiries, claims], [[], []])
})

t.test('a payment whose attempts a failover lost is a success when the processor says so', async (t) => {
  const { pool } = await database(t)
  const messageId = await pendingMessage(pool)
  await pool.query(`select append_late($1, $2, null, 'an attempt', 'unknown', null, null, 'timeout')`, [
    fresh,
    messageId,
  ])
  const { inquiries } = await lookOnce(pool, 'fresh', asks)
  t.match(inquiries, [{ messageId, attempt: 0 }])
  t.equal(await record(pool, inquiries[0]!, 'carried_out'), 'recorded')
  t.match(await stateOf(pool, messageId), { status: 'success', attempts: 0 })
  const { rows } = await pool.query(
    'select type, attempt, outcome from message_events where message_id = $1 order by version desc limit 1',
    [messageId],
  )
  t.strictSame(rows, [{ type: 'late_result_observed', attempt: null, outcome: 'accepted' }])
})

t.test('past the window of the key it is asked once more, and not sent, whatever is not found', async (t) => {
  const { pool } = await database(t)
  const messageId = await inDoubt(pool)
  await answer(pool, 'in_progress', over)
  await answer(pool, 'not_found', over)
  t.equal((await lookOnce(pool, 'retry', over)).forgotten.length, 1)
  t.match(await stateOf(pool, messageId), { status: 'dead_letter' })
  const paid = await inDoubt(pool)
  await answer(pool, 'carried_out', over)
  t.match(await stateOf(pool, paid), { status: 'success' })
})

t.test('an answer is stale if an operator has decided meanwhile, or another one was recorded', async (t) => {
  const { pool } = await database(t)
  const messageId = await inDoubt(pool)
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  const { inquiries } = await lookOnce(pool, 'retry', asks)
  await pool.query(`select decide_message($1, 'hold', 'alice', 'why')`, [transactionId])
  t.equal(await record(pool, inquiries[0]!, 'carried_out'), 'stale')
  t.match(await stateOf(pool, messageId), { status: 'failed', version: 5 })
  await inDoubt(pool)
  const again = await answer(pool, 'refused')
  t.equal(await record(pool, again, 'carried_out'), 'stale', 'a second answer')
})

t.test('failed inquiries alone hold nothing, and an answered one ends no row of failures', async (t) => {
  const { pool } = await database(t)
  await inDoubt(pool)
  const failures = async () =>
    (await pool.query<{ failures: number }>('select failures from destinations')).rows[0]?.failures
  const before = (await failures())!
  const { inquiries } = await lookOnce(pool, 'retry', asks)
  const silent = {
    answer: 'no_answer',
    statusCode: null,
    reason: 'timeout',
    durationMs: 3,
    verdict: 'failure',
  } as const
  t.equal(await recordInquiry(pool, retry, inquiries[0]!, { ...silent, gapMs: 0, delayMs: 0 }), 'recorded')
  t.equal(await failures(), before)
  await answer(pool, 'not_found')
  t.equal(await failures(), before)
  t.ok(before > 0)
})

t.test('of many due messages each takes room, whether it is sent or asked about', async (t) => {
  const { pool } = await database(t)
  for (let count = 0; count < 3; count++) await inDoubt(pool)
  const sure = await openAttempt(pool)
  await settleOne(pool, fresh, sure, 1, refused)
  const first = await lookOnce(pool, 'retry', { ...asks, room: 2 })
  t.equal(first.inquiries.length + first.claims.length, 2)
  const second = await lookOnce(pool, 'retry', { ...asks, room: 2 })
  t.equal(second.inquiries.length + second.claims.length, 2)
  t.equal(first.claims.length + second.claims.length, 1)
  for (const { messageId } of [...first.claims, ...second.claims])
    await settleOne(pool, retry, messageId, 2, accepted)
})

t.test(
  'while the destination is held, a probe is an attempt of what is not in doubt, else an inquiry that is the probe',
  async (t) => {
    const { pool } = await database(t)
    const doubtful = [await inDoubt(pool), await inDoubt(pool)]
    const sure = await openAttempt(pool)
    await settleOne(pool, fresh, sure, 1, unavailable)
    const policy = { holdAfter: 1, brakeAfter: 0, probeEveryMs: 0 }
    const advance = () => advanceDestination(pool, 'default', 'instance-1/guard', policy, 0)
    t.equal((await advance()).state, 'held')
    t.match((await lookOnce(pool, 'retry', asks)).claims, [{ messageId: sure }])
    await settleOne(pool, retry, sure, 2, unavailable, { then: 'retry', delayMs: 3_600_000 })
    await pool.query(`update destinations set next_probe_at = now() - interval '1 second'`)
    const failed = {
      answer: 'no_answer',
      statusCode: 403,
      reason: 'HTTP 403 Forbidden',
      durationMs: 3,
      verdict: 'failure',
    } as const
    const silent = (await lookOnce(pool, 'retry', asks)).inquiries
    const probes = async () =>
      (await pool.query<{ probes: number }>('select probes from destinations')).rows[0]?.probes
    await pool.query('update destinations set probes = 1')
    t.equal(await recordInquiry(pool, retry, silent[0]!, { ...failed, gapMs: 0, delayMs: 0 }), 'recorded')
    t.equal(await probes(), 0, 'a probe that failed shows no life')
    await pool.query(`update destinations set next_probe_at = now() - interval '1 second'`)
    for (let probes = 0; probes < 3; probes++) {
      const { inquiries } = await lookOnce(pool, 'retry', asks)
      t.equal(inquiries.length, 1)
      t.strictSame((await lookOnce(pool, 'retry', asks)).inquiries, [], 'one at a time')
      await record(pool, inquiries[0]!, 'not_found')
      await pool.query(`update destinations set next_probe_at = now() - interval '1 second'`)
    }
    t.equal((await advance()).state, 'ramping')
    const { claims, inquiries } = await lookOnce(pool, 'retry', asks)
    t.equal(claims.length + inquiries.length, doubtful.length)
  },
)

t.test(
  'an inquiry whose answer was lost holds up no probe for as long as the clock was set back',
  async (t) => {
    const { pool } = await database(t)
    await registerInstance(pool, {
      instance: 'instance-1',
      release: 'test',
      freshMax: 10,
      retryMax: 10,
      leaseMs: 60_000,
      timeoutMs: 1_000,
      retry: { retriesMax: 5, baseDelayMs: 1_000, maxDelayMs: 1_000 },
    })
    await inDoubt(pool)
    const policy = { holdAfter: 1, brakeAfter: 0, probeEveryMs: 0 }
    t.equal((await advanceDestination(pool, 'default', 'instance-1/guard', policy, 0)).state, 'held')
    t.equal((await lookOnce(pool, 'retry', asks)).inquiries.length, 1, 'the probe')
    const waiting = await pendingMessage(pool)
    t.strictSame((await lookOnce(pool, 'fresh', asks)).claims, [], 'its lease lasts')
    await pool.query(`update destinations set probe_ends_at = probe_ends_at + interval '1 hour'`)
    t.match((await lookOnce(pool, 'fresh', asks)).claims, [{ messageId: waiting }])
  },
)
