import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type pg from 'pg'
import { advanceDestination } from '../../../src/log/write/advance-destination.ts'
import {
  recordRateSetting,
  resumeDestination,
  pauseDestination,
  setRateLimit,
} from '../../../src/log/write/steer-destination.ts'
import { throttleDestination } from '../../../src/log/write/throttle-destination.ts'
import { look } from '../../../src/log/write/look.ts'
import { database } from '../../support/database.ts'
import { rebuildAll } from '../../support/rebuild.ts'
import {
  fresh,
  lookOnce,
  newName,
  noGrace,
  openAttempts,
  record,
  retry,
  retryAtOnce,
  session,
  settle,
  store,
} from '../support.ts'

const alice = { actor: 'alice', reason: 'the processor is slow tonight' }
const guard = 'instance-1/guard'
const policy = { holdAfter: 3, brakeAfter: 4, probeEveryMs: 0 }
const advance = (pool: pg.Pool) => advanceDestination(pool, 'default', guard, policy, 60_000)
const limit = (pool: pg.Pool, perSecond: number, burst: number | null = null) =>
  setRateLimit(pool, 'default', alice, { perSecond, burst })

const fill = (pool: pg.Pool, count: number) =>
  store(
    pool,
    Array.from({ length: count }, (_, at) => record(at, newName())),
  )

/** Messages whose attempt failed after so long, and that are due again at once. */
async function fail(pool: pg.Pool, count: number, durationMs = 5): Promise<void> {
  const ids = await openAttempts(pool, count)
  const outcome = { kind: 'unknown', statusCode: null, reason: 'timeout' } as const
  await settle(
    pool,
    fresh,
    ids.map((messageId) => ({
      messageId,
      attempt: 1,
      outcome,
      durationMs,
      decision: retryAtOnce,
      verdict: 'none' as const,
    })),
  )
}

/** Lets so much time pass for all that is planned for the destination. */
const age = (pool: pg.Pool, seconds: number) =>
  pool.query(
    `update destinations set next_slot_at = next_slot_at - $1 * interval '1 second',
       not_before = not_before - $1 * interval '1 second', throttled_at = throttled_at - $1 * interval '1 second',
       slots_since = slots_since - $1 * interval '1 second', since = since - $1 * interval '1 second'`,
    [seconds],
  )

async function row<Row extends pg.QueryResultRow>(pool: pg.Pool, sql: string): Promise<Row> {
  return (await pool.query<Row>(sql)).rows[0]!
}

t.test('a limit gives a burst at once, over all instances, and then one slot after the other', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 20)
  t.match(await limit(pool, 0.1, 3), { kind: 'rate_set', decision: 1, state: 'flowing' })
  const first = await lookOnce(pool, 'fresh')
  t.equal(first.claims.length, 3)
  t.ok(first.slotInMs! > 0 && first.slotInMs! <= 10_000, `the next slot is in ${first.slotInMs} ms`)
  t.ok(first.dueInMs! > 0, 'and there is nothing to look for before')
  const other = await lookOnce(pool, 'fresh', { as: 'instance-2/fresh' })
  t.match([other.claims.length, other.slotInMs! > 0], [0, true])
  await age(pool, 20)
  t.equal((await lookOnce(pool, 'fresh', { as: 'instance-2/fresh' })).claims.length, 2)
  await age(pool, 3_600)
  t.equal((await lookOnce(pool, 'fresh', { room: 2 })).claims.length, 2, 'no more than there is room for')
  t.equal(
    (await lookOnce(pool, 'fresh')).claims.length,
    1,
    'what was left over is there still, and no more than a burst',
  )
  t.match(await setRateLimit(pool, 'default', alice, null), { kind: 'rate_set' })
  const free = await lookOnce(pool, 'fresh')
  t.match([free.claims.length, free.slotInMs], [12, null], 'without a limit all goes')
})

t.test('no second has more than the limit and the burst, however lanes look', async (t) => {
  const { pool } = await database(t)
  await limit(pool, 40, 7)
  let at = 1_000_000
  const starts: number[] = []
  for (let look = 0; look < 400; look++) {
    // Some looks follow at once, some after a while.
    at += look % 5 === 0 ? 0 : (look * 7919) % 90
    const time = new Date(at).toISOString()
    const { slots, first_at } = (
      await pool.query<{ slots: number; first_at: Date }>(
        'select f.slots, f.first_at from destinations d cross join lateral free_slots(d, $1) f',
        [time],
      )
    ).rows[0]!
    const taken = Math.min(slots, look % 3 === 0 ? slots : 2)
    if (taken === 0) continue
    await pool.query('select take_slots(d, $1, $2, $3, $4) from destinations d', [
      time,
      first_at,
      'pending',
      taken,
    ])
    starts.push(...Array.from({ length: taken }, () => at))
  }
  const most = Math.max(
    ...starts.map((from) => starts.filter((start) => start >= from && start < from + 1_000).length),
  )
  t.ok(most <= 47, `at most ${most} in a second`)
  t.ok(most >= 40, 'and the limit is used')
})

t.test(
  'two lanes with due messages share the slots; a single slot goes to the one that had not the last',
  async (t) => {
    const { pool } = await database(t)
    await fail(pool, 10)
    await fill(pool, 10)
    await limit(pool, 0.1, 4)
    t.equal((await lookOnce(pool, 'fresh')).claims.length, 2)
    t.equal((await lookOnce(pool, 'retry')).claims.length, 1)
    const single = async (lane: string, ms: number) =>
      (
        await row<{ slots: number }>(
          pool,
          `select s.slots from destinations d
           cross join lateral share_slots(d, '${lane}', d.next_slot_at - interval '30 seconds' + ${ms} * interval '1 millisecond') s`,
        )
      ).slots
    t.same(
      [await single('failed', 1), await single('pending', 1)],
      [0, 1],
      'it is the turn of the other lane',
    )
    t.equal(await single('failed', 40), 1, 'which does not come')
  },
)

t.test('a clock that was set back holds up nothing', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 10)
  await limit(pool, 1, 2)
  t.equal((await lookOnce(pool, 'fresh')).claims.length, 2)
  await pool.query(`update destinations set next_slot_at = next_slot_at + interval '1 hour',
    slots_since = slots_since + interval '1 hour'`)
  t.equal((await lookOnce(pool, 'fresh')).claims.length, 1, 'slots are counted from now on')
  const { slotInMs } = await lookOnce(pool, 'fresh')
  t.ok(slotInMs! <= 1_000, `the next slot is in ${slotInMs} ms`)
  await pool.query(`update destinations set throttled_at = clock_timestamp() + interval '1 hour',
    throttled_rate = 5, not_before = clock_timestamp() + interval '1 hour'`)
  await age(pool, 0)
  t.ok((await lookOnce(pool, 'fresh')).slotInMs! < 60_000, 'nor is a processor left alone for an hour')
  await advance(pool)
  t.match(await row(pool, 'select throttled_at, not_before from destinations'), {
    throttled_at: null,
    not_before: null,
  })
})

t.test('a higher limit does not wait for the slot of the old one', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 10)
  await limit(pool, 0.01, 2)
  await lookOnce(pool, 'fresh')
  await limit(pool, 100, 10)
  const { slotInMs } = await lookOnce(pool, 'fresh')
  t.ok(slotInMs === null || slotInMs <= 100, `the next slot is in ${slotInMs} ms`)
})

t.test('with one slot at a time neither lane waits for the other, nor does a probe', async (t) => {
  const { pool } = await database(t)
  await fail(pool, 3, 30_000)
  await fill(pool, 5)
  await limit(pool, 10, 1)
  for (let looks = 0; looks < 3; looks++) {
    // The other lane has due messages, and no room for them.
    t.equal(
      (
        await look(pool, {
          lane: 'retry',
          actor: retry,
          room: { all: 5, slow: 0 },
          lease: noGrace,
          lookFrom: {},
          withLeases: false,
        })
      ).claims.length,
      0,
    )
    t.equal((await lookOnce(pool, 'fresh')).claims.length, 1)
    await age(pool, 60)
  }
  t.equal((await lookOnce(pool, 'retry')).claims.length, 1)
  await pool.query('update destinations set failures = 3')
  t.match(await advance(pool), { state: 'held' })
  await age(pool, 60)
  t.equal((await lookOnce(pool, 'retry')).claims.length, 1, 'the lane that had the last slot probes')
  t.ok(
    (
      await row<{ waits: boolean }>(
        pool,
        'select next_slot_at > clock_timestamp() as waits from destinations',
      )
    ).waits,
    'the probe takes a slot',
  )
})

t.test('what is stored while a lane looks takes a slot too', async (t) => {
  const { pool, url } = await database(t)
  await limit(pool, 0.1, 2)
  const { f } = await row<{ f: string }>(pool, `select pg_get_functiondef('lock_due'::regproc) as f`)
  await pool.query(f.replace('\nbegin\n', '\nbegin\n  perform pg_advisory_xact_lock(1);\n'))
  const other = await session(t, url)
  await other.database.query('begin')
  await other.database.query('select pg_advisory_xact_lock(1)')
  const looking = lookOnce(pool, 'fresh')
  await setTimeout(200)
  await fill(pool, 20)
  await other.database.query('commit')
  t.ok((await looking).claims.length <= 2)
})

t.test('answers that name no time lower the rate, however close they come', async (t) => {
  const { pool } = await database(t)
  const ask = () =>
    throttleDestination(pool, 'default', guard, { waitMs: 0, sentMsAgo: 100, rate: 200, reason: 'HTTP 429' })
  await ask()
  await age(pool, 1)
  await ask()
  const { rate } = await row<{ rate: number }>(pool, 'select throttled_from as rate from destinations')
  t.ok(rate >= 100, `${rate} a second were too many`)
  await age(pool, 1)
  await ask()
  t.ok((await row<{ rate: number }>(pool, 'select throttled_from as rate from destinations')).rate < rate)
})

t.test('with a pace ingest stores and starts nothing', async (t) => {
  const { pool } = await database(t)
  await limit(pool, 1_000)
  const stored = await store(pool, [record(0, newName())], { room: 5 })
  t.match([stored.claims.length, stored.results], [0, /r/])
  await setRateLimit(pool, 'default', alice, null)
  t.equal((await store(pool, [record(0, newName())], { room: 5 })).claims.length, 1)
})

t.test(
  "an operator's limit outlives a start with the same setting, and a changed setting replaces it",
  async (t) => {
    const { pool } = await database(t)
    const setting = (perSecond: number | null, burst: number | null = null) =>
      recordRateSetting(pool, 'default', guard, perSecond === null ? null : { perSecond, burst })
    t.match(await setting(null), { kind: 'rate_unchanged' }, 'no limit is what there is')
    t.match(await setting(200), { kind: 'rate_set', decision: 1 })
    t.match(await setting(200), { kind: 'rate_unchanged', decision: 1 })
    t.match(await limit(pool, 50), { kind: 'rate_set', decision: 2 })
    t.match(await limit(pool, 50), { kind: 'rate_unchanged', decision: 2, actor: 'alice' })
    t.match(await setting(200), { kind: 'rate_unchanged', decision: 2 })
    t.match(await advance(pool), { rateLimit: 50, rateBurst: 10, cause: 'rate', reason: alice.reason })
    t.match(await setting(200, 5), { kind: 'rate_set', decision: 3 })
    t.match(await advance(pool), {
      rateLimit: 200,
      rateBurst: 5,
      cause: 'setting',
      reason: 'RATE_LIMIT=200, RATE_BURST=5',
    })
    t.match(await setting(null), { kind: 'rate_set', decision: 4 })
    t.match(await advance(pool), { rateLimit: null, rateBurst: null })
  },
)

t.test('a decision about the pace leaves the state with all that is counted', async (t) => {
  const { pool } = await database(t)
  await pauseDestination(pool, 'default', alice, null)
  await resumeDestination(pool, 'default', alice)
  await pool.query('update destinations set failures = 1, refusals = 2, is_answered = true')
  const before = await row<{ since: Date }>(pool, 'select * from destinations')
  await limit(pool, 10)
  await throttleDestination(pool, 'default', guard, { waitMs: 0, sentMsAgo: 0, rate: 10, reason: 'HTTP 429' })
  const after = await row<{ since: Date }>(pool, 'select * from destinations')
  t.match(after, {
    decision: 4,
    state_decision: 2,
    state: 'ramping',
    cause: 'operator',
    failures: 1,
    refusals: 2,
    is_answered: true,
    since: before.since,
  })
})

t.test('a processor that asks for less is left alone, and then gets less', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 30)
  const ask = (waitMs: number, sentMsAgo = 0) =>
    throttleDestination(pool, 'default', guard, { waitMs, sentMsAgo, rate: 40, reason: 'HTTP 429' })
  const rate = async (inSeconds: number) =>
    (
      await row<{ rate: number }>(
        pool,
        `select throttled_rate(d, greatest(d.throttled_at, d.not_before) + ${inSeconds} * interval '1 second') as rate from destinations d`,
      )
    ).rate
  await ask(3_600_000)
  t.match(await advance(pool), {
    state: 'flowing',
    isThrottled: true,
    cause: 'throttled',
    reason: 'HTTP 429',
  })
  const { notBeforeInMs } = await advance(pool)
  t.ok(notBeforeInMs! > 30_000 && notBeforeInMs! <= 60_000, `it is left alone for ${notBeforeInMs} ms`)
  const waits = await lookOnce(pool, 'fresh')
  t.match([waits.claims.length, waits.slotInMs! > 30_000], [0, true])
  t.same([await rate(0), await rate(1), await rate(2)], [20, 40, 80], 'half, and twice as much each second')
  await age(pool, 60)
  t.equal((await lookOnce(pool, 'fresh')).claims.length, 2, 'two at a time')
  await ask(0, 600_000)
  t.equal(await rate(0), 20, 'what was sent before the first answer says nothing of the rate since')
  await age(pool, 1)
  await ask(0)
  const first = await row<{ from: number }>(pool, 'select throttled_from as from from destinations')
  t.ok(first.from >= 40, `${first.from} a second were too many`)
  t.ok(Math.abs((await rate(0)) / first.from - 0.5) < 1e-6, 'half of what was too much')
  await age(pool, 60)
  await pool.query('update destinations set slots_rate = 20')
  await ask(0)
  const { from } = await row<{ from: number }>(pool, 'select throttled_from as from from destinations')
  t.ok(from < first.from && from >= 20, `at the second time it is what was sent, and half at least: ${from}`)
  t.ok(Math.abs((await rate(0)) / from - 0.9) < 1e-6, 'a tenth less')
  t.ok(Math.abs((await rate(30)) / from - 1) < 0.01, 'back after half a minute')
  t.ok((await rate(60)) < from * 1.2 && (await rate(120)) > from * 2, 'then more, faster and faster')
  t.match(await advance(pool), { isThrottled: true })
  await age(pool, 151)
  t.match(await advance(pool), {
    isThrottled: false,
    cause: 'unthrottled',
    state: 'flowing',
    notBeforeInMs: null,
  })
  t.equal((await lookOnce(pool, 'fresh')).claims.length, 28)
})

t.test('a limit bounds a processor that asked for less, and that bounds the limit', async (t) => {
  const { pool } = await database(t)
  await limit(pool, 10, 2)
  const pace = () => row(pool, 'select p.rate, p.burst from destinations d, pace_of(d, d.throttled_at) p')
  await throttleDestination(pool, 'default', guard, {
    waitMs: 0,
    sentMsAgo: 0,
    rate: 100,
    reason: 'HTTP 429',
  })
  t.match(await pace(), { rate: 10 })
  await pool.query('update destinations set throttled_rate = 3')
  t.match(await pace(), { rate: 3, burst: 1.15 })
})

t.test('a destination that is held is probed only when the processor may be asked again', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 3)
  await throttleDestination(pool, 'default', guard, {
    waitMs: 60_000,
    sentMsAgo: 0,
    rate: 1,
    reason: 'HTTP 503',
  })
  await pool.query(`update destinations set failures = 3`)
  t.match(await advance(pool), { state: 'held' })
  t.equal((await lookOnce(pool, 'fresh')).claims.length, 0)
  await age(pool, 60)
  t.equal((await lookOnce(pool, 'fresh')).claims.length, 1)
})

t.test('messages that were slow get their part of the room, and hide no others', async (t) => {
  const { pool } = await database(t)
  await fail(pool, 40, 30_000)
  await fail(pool, 5)
  const retries = (all: number, slow: number) =>
    look(pool, {
      lane: 'retry',
      actor: retry,
      room: { all, slow },
      lease: noGrace,
      lookFrom: {},
      withLeases: false,
    })
  const none = await retries(5, 0)
  t.match(
    [none.claims.length, none.dueInMs],
    [5, null],
    'the others are found behind them, and nothing else is waited for',
  )
  t.ok(none.claims.every(({ isSlow }) => isSlow === false))
  const some = await retries(4, 2)
  t.match([some.claims.length, some.claims.every(({ isSlow }) => isSlow)], [2, true])
  t.ok(some.dueInMs === null, 'their part is used up')
  await fail(pool, 5)
  const both = await retries(4, 3)
  t.match(
    [both.claims.filter(({ isSlow }) => isSlow).length, both.claims.length],
    [2, 4],
    'half of the room at most',
  )
  t.match(
    await row(pool, "select count(*)::int as n from message_states where is_slow and queue = 'failed'"),
    { n: 36 },
  )
})

t.test('npm run rebuild brings the pace back', async (t) => {
  const { pool } = await database(t)
  await fail(pool, 1, 30_000)
  await limit(pool, 10, 4)
  await throttleDestination(pool, 'default', guard, {
    waitMs: 0,
    sentMsAgo: 0,
    rate: 100,
    reason: 'HTTP 429',
  })
  await pool.query(`update destinations set rate_limit = null, rate_burst = null, throttled_at = null, throttled_rate = null,
    decision = 1`)
  await pool.query('update message_states set is_slow = false')
  const found = (await rebuildAll(pool)).map((each) => ('column' in each ? each.column : each))
  t.same(found.sort(), ['decision', 'is_slow', 'is_throttled', 'rate_burst', 'rate_limit'])
  t.match(await row(pool, 'select decision, rate_limit, rate_burst, throttled_rate from destinations'), {
    decision: 2,
    rate_limit: 10,
    rate_burst: 4,
    throttled_rate: 1,
  })
})
