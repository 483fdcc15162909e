import t from 'tap'
import type pg from 'pg'
import {
  advanceDestination,
  type DestinationView,
  type GuardPolicy,
} from '../../../src/log/write/advance-destination.ts'
import { abandon, findExpired } from '../../../src/log/write/abandon.ts'
import type { Claim } from '../../../src/log/write/to-claim.ts'
import { settle, type Settlement } from '../../../src/log/write/settle.ts'
import { pauseDestination } from '../../../src/log/write/steer-destination.ts'
import type { Decision } from '../../../src/message/decide.ts'
import type { Outcome } from '../../../src/message/outcome.ts'
import { judge, type Verdict } from '../../../src/message/verdict.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import {
  accepted,
  exhausted,
  fresh,
  lookOnce,
  noGrace,
  record,
  refused,
  retry,
  store,
  unavailable,
} from '../support.ts'

const policy: GuardPolicy = { holdAfter: 3, brakeAfter: 4, probeEveryMs: 0 }
const guard = 'instance-1/guard'
const retried: Decision = { then: 'retry', delayMs: 60_000 }

const advance = (pool: pg.Pool, some: Partial<GuardPolicy> = {}, rampMs = 60_000): Promise<DestinationView> =>
  advanceDestination(pool, 'default', guard, { ...policy, ...some }, rampMs)

let nth = 0
/** Stores so many messages whose first attempt is open. */
async function start(pool: pg.Pool, count: number): Promise<Claim[]> {
  const records = Array.from({ length: count }, () => record(nth, `tx-${nth++}`))
  return (await store(pool, records, { room: count })).claims
}

/** Ends attempts in this order, each with its outcome. */
function end(
  pool: pg.Pool,
  ended: [Claim, Outcome, Decision?][],
  as = fresh,
  verdictOf: (outcome: Outcome) => Verdict = (outcome) => judge(outcome, true, (status) => status === 401),
) {
  const settlements = ended.map(([claim, outcome, decision]): Settlement => {
    const then: Decision =
      outcome.kind === 'accepted'
        ? { then: 'success' }
        : outcome.kind === 'refused'
          ? { then: 'dead_letter', sparedDelayMs: null }
          : retried
    return { ...claim, outcome, durationMs: 1, decision: decision ?? then, verdict: verdictOf(outcome) }
  })
  return settle(pool, as, settlements)
}

async function hold(pool: pg.Pool): Promise<void> {
  await end(
    pool,
    (await start(pool, 3)).map((claim) => [claim, unavailable]),
  )
  if ((await advance(pool)).state !== 'held') throw new Error('the destination is not held')
}

async function pause(pool: pg.Pool, until: string | null = null): Promise<string> {
  const { rows } = await pool.query<{ answer: string }>(
    `select answer from pause_destination('default', 'alice', 'maintenance', $1)`,
    [until],
  )
  return rows[0]!.answer
}

async function resume(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ answer: string }>(
    `select answer from resume_destination('default', 'alice', 'done')`,
  )
  return rows[0]!.answer
}

async function stateOf(pool: pg.Pool, { messageId }: Claim) {
  const { rows } = await pool.query<{ status: string; retry_count: number; due: boolean }>(
    `select status, retry_count, due_at > clock_timestamp() as due from message_states where message_id = $1`,
    [messageId],
  )
  return rows[0]
}

t.test(
  'failures in a row hold the destination; an answer to a payment between them begins anew',
  async (t) => {
    const { pool } = await database(t)
    const unauthorized: Outcome = {
      kind: 'unavailable',
      statusCode: 401,
      reason: 'HTTP 401',
      retryAfterMs: null,
    }
    const conflict: Outcome = { kind: 'unavailable', statusCode: 409, reason: 'HTTP 409', retryAfterMs: null }
    const silent: Outcome = { kind: 'unknown', statusCode: null, reason: 'timeout' }
    const [a, b, c, d, e, f, g, h] = await start(pool, 8)
    await end(pool, [
      [a!, unavailable],
      [b!, silent],
      [c!, conflict],
      [d!, unauthorized],
    ])
    t.match(await advance(pool), { state: 'flowing', decision: 0, actor: null })
    await end(pool, [
      [e!, { kind: 'not_sent', reason: 'refused' }],
      [f!, accepted],
    ])
    await end(pool, [[g!, unavailable]])
    t.match(await advance(pool), { state: 'flowing', decision: 0 })
    await end(pool, [[h!, silent]])
    await end(pool, [[(await start(pool, 1))[0]!, unauthorized]], fresh)
    t.match(await advance(pool), {
      state: 'held',
      decision: 1,
      cause: 'failures',
      actor: guard,
      reason: '3 failures in a row, the last one: HTTP 401',
    })
    t.match(await advance(pool), { state: 'held', decision: 1 }, 'it is decided once')
  },
)

t.test(
  'refusals in a row hold it too, whatever fails between them; an accepted payment begins anew',
  async (t) => {
    const { pool } = await database(t)
    const claims = await start(pool, 9)
    await end(pool, [
      [claims[0]!, refused],
      [claims[1]!, refused],
      [claims[2]!, accepted],
      [claims[3]!, refused],
      [claims[4]!, refused],
    ])
    await end(pool, [
      [claims[5]!, unavailable],
      [claims[6]!, refused],
    ])
    t.match(await advance(pool), { state: 'flowing' })
    await end(pool, [[claims[7]!, refused]])
    t.match(await advance(pool, { brakeAfter: 0 }), { state: 'flowing' }, '0 switches it off')
    t.match(await advance(pool), { state: 'held', cause: 'refusals', reason: /^4 payments refused in a row/ })
  },
)

t.test('what was not sent says nothing, and what is stored again is counted once', async (t) => {
  const { pool } = await database(t)
  const claims = await start(pool, 3)
  for (const claim of claims)
    await end(pool, [[claim, { kind: 'not_sent', reason: 'waited' }]], fresh, () => 'none')
  t.match(await advance(pool), { state: 'flowing' })
  const [again, other] = await start(pool, 2)
  await end(pool, [[again!, unavailable]])
  t.strictSame(await end(pool, [[again!, unavailable]]), ['already'])
  await end(pool, [[other!, unavailable]])
  t.match(await advance(pool), { state: 'flowing' })
})

t.test('two instances that find the same decision due make it once', async (t) => {
  const { pool } = await database(t)
  await end(
    pool,
    (await start(pool, 3)).map((claim) => [claim, unavailable]),
  )
  const views = await Promise.all(Array.from({ length: 8 }, () => advance(pool)))
  t.ok(views.every(({ decision, state }) => decision === 1 && state === 'held'))
})

t.test('nothing starts while it is paused: no look claims, and ingest stores alone', async (t) => {
  const { pool } = await database(t)
  await store(pool, [record(nth, `tx-${nth++}`)])
  t.equal(await pause(pool), 'paused')
  t.equal(await pause(pool), 'already_paused')
  t.match(await lookOnce(pool, 'fresh'), {
    claims: [],
    dueInMs: null,
    destination: { state: 'paused', decision: 1 },
  })
  t.strictSame(await start(pool, 2), [])
  t.equal(await resume(pool), 'resumed')
  t.equal(await resume(pool), 'not_stopped')
  t.match(await lookOnce(pool, 'fresh'), { destination: { state: 'ramping' }, claims: { length: 3 } })
  t.strictSame(await start(pool, 1), [], 'while it ramps, what has waited goes first')
})

t.test('a pause ends by itself at its time', async (t) => {
  const { pool } = await database(t)
  t.equal(await pause(pool, '2020-01-01'), 'until_passed')
  const { rows } = await pool.query<{ until: string }>(
    `select clock_timestamp() + interval '1 second' as until`,
  )
  t.equal(await pause(pool, rows[0]!.until), 'paused')
  t.match(await advance(pool), { state: 'paused', decision: 1 })
  await until('the pause to end', async () => (await advance(pool)).state === 'ramping')
  t.match(await advance(pool), { cause: 'until', decision: 2 })
  t.match(await advance(pool, {}, 0), { state: 'flowing', cause: 'ramped', decision: 3 })
})

t.test(
  'while it is held one probe at a time starts: what has been due longest, in either lane',
  async (t) => {
    const { pool } = await database(t)
    const [failed] = await start(pool, 1)
    await end(pool, [[failed!, unavailable, { then: 'retry', delayMs: 0 }]])
    await store(pool, [record(nth, `tx-${nth++}`), record(nth, `tx-${nth++}`)])
    await hold(pool)
    t.match(
      await lookOnce(pool, 'fresh'),
      { claims: [], destination: { state: 'held' } },
      'another lane has it',
    )
    const { claims } = await lookOnce(pool, 'retry')
    t.match(claims, [{ messageId: failed!.messageId, attempt: 2 }])
    t.equal(claims.length, 1)
    for (const lane of ['fresh', 'retry'] as const)
      t.strictSame((await lookOnce(pool, lane)).claims, [], 'while it is open no other starts')
    t.strictSame(await end(pool, [[claims[0]!, unavailable, exhausted]], retry), ['spared'])
    t.match(await stateOf(pool, failed!), { status: 'failed', retry_count: 1, due: true })
    t.equal((await lookOnce(pool, 'fresh')).claims.length, 1, 'the next one is another message')
  },
)

t.test(
  'three probes in a row that were answered open the ramp, and a failure between them begins anew',
  async (t) => {
    const { pool } = await database(t)
    await store(
      pool,
      Array.from({ length: 8 }, () => record(nth, `tx-${nth++}`)),
    )
    await hold(pool)
    const probe = async (outcome: Outcome): Promise<DestinationView> => {
      let claims: Claim[] = []
      // After a probe that was answered the next one may start a second later.
      await pool.query('update destinations set next_probe_at = clock_timestamp()')
      await until('a probe', async () => (claims = (await lookOnce(pool, 'fresh')).claims).length === 1)
      await end(pool, [[claims[0]!, outcome]])
      return advance(pool)
    }
    const outcomes = [accepted, refused, unavailable, accepted, refused]
    for (const outcome of outcomes) t.match(await probe(outcome), { state: 'held' })
    t.match(await probe(accepted), {
      state: 'ramping',
      cause: 'probes',
      reason: '3 probes in a row were answered',
    })
  },
)

t.test('after refusals only accepted probes count', async (t) => {
  const { pool } = await database(t)
  await end(
    pool,
    (await start(pool, 4)).map((claim) => [claim, refused]),
  )
  t.match(await advance(pool), { state: 'held', cause: 'refusals' })
  await store(
    pool,
    Array.from({ length: 2 }, () => record(nth, `tx-${nth++}`)),
  )
  for (const [outcome, probes] of [
    [refused, 0],
    [accepted, 1],
  ] as const) {
    await pool.query('update destinations set next_probe_at = clock_timestamp()')
    const { claims } = await lookOnce(pool, 'fresh')
    await end(pool, [[claims[0]!, outcome]])
    const { rows } = await pool.query('select probes from destinations')
    t.match(rows, [{ probes }])
  }
})

t.test('the wait between probes doubles up to a minute', async (t) => {
  const { pool } = await database(t)
  await end(
    pool,
    (await start(pool, 3)).map((claim) => [claim, unavailable]),
  )
  await advance(pool, { probeEveryMs: 5_000 })
  await store(
    pool,
    Array.from({ length: 6 }, () => record(nth, `tx-${nth++}`)),
  )
  for (const seconds of [5, 10, 20, 40, 60, 60]) {
    const { rows } = await pool.query<{ wait: number; delay: number }>(
      `select round(extract(epoch from next_probe_at - clock_timestamp())::numeric)::int as wait,
        (probe_delay_ms / 1000)::int as delay from destinations`,
    )
    t.equal(rows[0]!.delay, seconds)
    t.ok(rows[0]!.wait <= seconds)
    t.strictSame((await lookOnce(pool, 'fresh')).claims, [], 'not before its time')
    await pool.query('update destinations set next_probe_at = clock_timestamp()')
    const { claims } = await lookOnce(pool, 'fresh')
    await end(pool, [[claims[0]!, unavailable]])
  }
})

t.test(
  'a ramp is held again by one failure before its first answer, and later by a row as long as its room',
  async (t) => {
    const { pool } = await database(t)
    const ramp = async (age: number): Promise<void> => {
      await pause(pool)
      await resume(pool)
      await pool.query(`update destinations set since = clock_timestamp() - $1 * interval '1 second'`, [age])
    }
    const one = async (): Promise<Claim> => {
      await store(pool, [record(nth, `tx-${nth++}`)])
      return (await lookOnce(pool, 'fresh', { room: 1 })).claims[0]!
    }
    await ramp(0)
    await end(pool, [[await one(), unavailable]])
    t.match(await advance(pool), { state: 'held', cause: 'failures', reason: 'a failure: HTTP 503' })
    for (const [age, row] of [
      [0, 5],
      [2, 5],
      [3, 8],
      // HOLD_AFTER is lower from here on.
      [10, 10],
    ] as const) {
      await ramp(age)
      await end(pool, [[await one(), accepted]])
      for (let failures = 0; failures < row; failures++) {
        t.match(await advance(pool, { holdAfter: 10 }), { state: 'ramping' }, `${failures} of ${row}`)
        await end(pool, [[await one(), unavailable]])
      }
      t.match(await advance(pool, { holdAfter: 10 }), { state: 'held' }, `after ${row}`)
    }
  },
)

t.test('what was sent before a ramp does not hold it again', async (t) => {
  const { pool } = await database(t)
  const [before] = await start(pool, 1)
  await pause(pool)
  await resume(pool)
  await end(pool, [[before!, { kind: 'unknown', statusCode: null, reason: 'timeout' }]])
  t.match(await advance(pool), { state: 'ramping' })
})

t.test('a clock that was set back neither ends a ramp late nor holds up the next probe', async (t) => {
  const { pool } = await database(t)
  await pause(pool)
  await pool.query(`update destinations set since = clock_timestamp() + interval '1 hour'`)
  await resume(pool)
  t.match(await advance(pool), { state: 'flowing', cause: 'ramped' })
  await end(
    pool,
    (await start(pool, 3)).map((claim) => [claim, unavailable]),
  )
  t.match(await advance(pool, { probeEveryMs: 5_000 }), { state: 'held' })
  await store(pool, [record(nth, `tx-${nth++}`)])
  await pool.query(`update destinations set next_probe_at = clock_timestamp() + interval '1 hour'`)
  const { claims } = await lookOnce(pool, 'fresh')
  t.equal(claims.length, 1, 'it is not later than the wait')
})

t.test('a message that a session has locked is not waited for by the probes', async (t) => {
  const { pool } = await database(t)
  const [failed] = await start(pool, 1)
  await end(pool, [[failed!, unavailable, { then: 'retry', delayMs: 0 }]])
  await hold(pool)
  await store(pool, [record(nth, `tx-${nth++}`)])
  const operator = await pool.connect()
  await operator.query('begin')
  await operator.query('select from message_states where message_id = $1 for update', [failed!.messageId])
  t.equal((await lookOnce(pool, 'fresh')).claims.length, 1)
  await operator.query('rollback')
  operator.release()
})

t.test('a pause that is over does not stand in the way of the next one', async (t) => {
  const { pool } = await database(t)
  const { rows } = await pool.query<{ until: string }>(
    `select clock_timestamp() + interval '200 milliseconds' as until`,
  )
  await pause(pool, rows[0]!.until)
  await until('its time to be over', async () => {
    const { rows: over } = await pool.query('select from destinations where until < clock_timestamp()')
    return over.length === 1
  })
  t.equal(await pause(pool), 'paused')
  t.match(await advance(pool), { state: 'paused', until: null, decision: 3 })
})

t.test('an operator is told when a transaction is in the way, and nothing is recorded', async (t) => {
  const { pool } = await database(t)
  const entered = await pool.connect()
  await entered.query('begin')
  await entered.query(`select state from enter_destination('default')`)
  const by = { actor: 'alice', reason: 'maintenance' }
  t.match(await pauseDestination(pool, 'default', by, null), { kind: 'in_the_way' })
  await entered.query('commit')
  entered.release()
  t.match(await pauseDestination(pool, 'default', by, null), { kind: 'paused', decision: 1 })
})

t.test('a failure uses up no retry while it does not flow, and one as ever while it does', async (t) => {
  const { pool } = await database(t)
  const [flowing, ramping, held, dead, gone] = await start(pool, 5)
  t.strictSame(await end(pool, [[flowing!, unavailable]]), ['appended'])
  t.match(await stateOf(pool, flowing!), { status: 'failed', retry_count: 1 })
  await pause(pool)
  t.strictSame(await end(pool, [[held!, unavailable, exhausted]]), ['spared'])
  t.match(await stateOf(pool, held!), { status: 'failed', retry_count: 0, due: true })
  t.strictSame(await end(pool, [[dead!, refused]]), ['appended'])
  t.match(await stateOf(pool, dead!), { status: 'dead_letter' })
  await pool.query(
    `update message_states set lease_ends_at = clock_timestamp() - interval '1 second' where message_id = $1`,
    [gone!.messageId],
  )
  await pool.query(
    'insert into overdue_attempts select message_id, lease_ends_at from message_states where message_id = $1',
    [gone!.messageId],
  )
  const [expired] = await findExpired(pool, noGrace, '-infinity', 10)
  t.strictSame(
    await abandon(pool, 'instance-2/retry', [{ expired: expired!, decision: exhausted }], noGrace),
    ['spared'],
  )
  t.match(await stateOf(pool, gone!), { status: 'failed', retry_count: 0 })
  await resume(pool)
  t.strictSame(await end(pool, [[ramping!, unavailable, exhausted]]), ['spared'])
  t.match(await stateOf(pool, ramping!), { status: 'failed', retry_count: 0 })
})

t.test('a decision waits for those who have entered, and those who come wait for it', async (t) => {
  const { pool } = await database(t)
  const entered = await pool.connect()
  await entered.query('begin')
  const { rows: before } = await entered.query<{ state: string }>(
    `select state from enter_destination('default')`,
  )
  t.equal(before[0]!.state, 'flowing')
  let isDecided = false
  // By itself a decision waits for 0.2 s only, and is tried again.
  const decider = await pool.connect()
  const deciding = (async () => {
    await decider.query('begin')
    await decider.query(`select pg_advisory_xact_lock(hashtextextended('destination default', 0))`)
    await decider.query(`select from pause_destination('default', 'alice', 'maintenance')`)
    await decider.query('commit')
    decider.release()
    isDecided = true
  })()
  await until('the decision to wait', async () => {
    const { rows } = await pool.query(`select from pg_locks where locktype = 'advisory' and not granted`)
    return rows.length > 0
  })
  const starting = start(pool, 1)
  await until('the claim to wait', async () => {
    const { rows } = await pool.query(`select from pg_locks where locktype = 'advisory' and not granted`)
    return rows.length > 1
  })
  t.equal(isDecided, false)
  await entered.query('select current_position()')
  await entered.query('commit')
  entered.release()
  await deciding
  t.strictSame(await starting, [], 'it found the pause')
})

t.test('decisions are ground: nobody changes them', async (t) => {
  const { pool } = await database(t)
  await pause(pool)
  await t.rejects(pool.query(`update destination_decisions set reason = 'other'`), { code: '42501' })
  await t.rejects(pool.query('delete from destination_decisions'), { code: '42501' })
})
