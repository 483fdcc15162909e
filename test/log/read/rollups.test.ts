import t from 'tap'
import type pg from 'pg'
import { readPartitions } from '../../../src/log/read/read-partitions.ts'
import type { Minutes } from '../../../src/log/read/rollups/measures.ts'
import { readFailures } from '../../../src/log/read/rollups/read-failures.ts'
import { errorBound, readLatency } from '../../../src/log/read/rollups/read-latency.ts'
import { readMinutes } from '../../../src/log/read/rollups/read-minutes.ts'
import { countByRetries, countUnknown } from '../../../src/log/read/rollups/read-standing.ts'
import { readThroughput } from '../../../src/log/read/rollups/read-throughput.ts'
import { foldCounts } from '../../../src/log/write/fold-counts.ts'
import { database } from '../../support/database.ts'
import { rebuildAll } from '../../support/rebuild.ts'
import { until } from '../../support/until.ts'
import {
  accepted,
  deadLetter,
  fresh,
  newName,
  openAttempts,
  record,
  refused,
  rejectedRecord,
  session,
  settle,
  settleOne,
  settlement,
  startAttempt,
  stateOf,
  store,
  unavailable,
  unknown,
} from '../support.ts'

const always: Minutes = { first: '-infinity', last: 'infinity', count: 0 }

/** What events came to in the last hour, whatever minutes they fell into. */
async function counts(pool: pg.Pool): Promise<Record<string, number>> {
  const minutes = await readMinutes(pool, null, null, 3_600)
  const sums: Record<string, number> = {}
  for (const bucket of await readThroughput(pool, minutes, 60))
    for (const [measure, n] of Object.entries(bucket.counts)) sums[measure] = (sums[measure] ?? 0) + Number(n)
  return sums
}

async function everything(pool: pg.Pool) {
  const latency = await readLatency(pool, always)
  return {
    counts: await counts(pool),
    retries: await countByRetries(pool),
    unknown: await countUnknown(pool),
    ended: [latency.endToEnd.count, latency.attempt.count],
    failures: (await readFailures(pool, always, 10)).map(({ pattern, count, examples }) => ({
      pattern,
      count,
      examples,
    })),
    partitions: await readPartitions(pool),
  }
}

/** Folds until nothing is left to add up: the watermark is the whole cluster's, and other tests hold it back for a while. */
async function foldAll(pool: pg.Pool): Promise<void> {
  await until('all deltas to be folded', async () => {
    await foldCounts(pool)
    const left = 'select from status_count_deltas union all select from failure_deltas'
    return (await pool.query(left)).rowCount === 0
  })
}

/** Makes hours, or days, of all that is folded: what comes later in the same hour or day is late. */
async function ageTo(pool: pg.Pool, resolution: 'hours' | 'days'): Promise<void> {
  const daysAfter = resolution === 'days' ? '-48 hours' : '400 days'
  const age = `select age_rollups('-48 hours', $1) as more`
  await until('all rollups to age', async () => {
    const { rows } = await pool.query<{ more: boolean }>(age, [daysAfter])
    const bound = resolution === 'days' ? 'days_below' : 'hours_below'
    const aged = await pool.query(`select from rollup_bounds where ${bound} > now()`)
    return rows[0]?.more === false && aged.rowCount === 1
  })
}

/** The measures and minutes of the rollups, as they are stored. */
async function minutesKept(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ at: string }>(
    `select distinct to_char(minute at time zone 'UTC', 'HH24:MI') as at from (
       select minute from rollups where minute > '-infinity' union all select minute from failure_rollups
     ) r`,
  )
  return rows.map(({ at }) => at)
}

/** Every type of event, in two partitions. */
async function fill(pool: pg.Pool) {
  const name = newName()
  await store(
    pool,
    [
      record(0, name),
      record(1, name),
      record(2, name, { bytes: 'other' }),
      rejectedRecord(3, 'x', 71),
      rejectedRecord(4, 'y', 71),
    ],
    { partition: 71 },
  )
  const ids = await openAttempts(pool, 6)
  const [success, failed, dead, late, superseded, unsure] = ids
  await settle(pool, fresh, [
    settlement(success!, 1, accepted),
    settlement(failed!, 1, unavailable),
    settlement(dead!, 1, refused, deadLetter),
    settlement(late!, 1, unknown),
    settlement(superseded!, 1, unknown),
    settlement(unsure!, 1, unknown, deadLetter),
  ])
  for (const id of [late!, superseded!]) await startAttempt(pool, id, 'instance-2/retry')
  await settleOne(pool, fresh, late!, 1, unavailable)
  await settleOne(pool, fresh, superseded!, 1, accepted)
  await settleOne(pool, fresh, superseded!, 1, accepted)
  const { transaction_id } = await stateOf(pool, dead!)
  await pool.query(`select replay_messages(array[$1], 'alice', 'again', null)`, [transaction_id])
  return { success, failed, dead, late, superseded, unsure }
}

t.test('each event is counted once, as what it means', async (t) => {
  const { pool } = await database(t)
  const { failed, dead, late, superseded, unsure } = await fill(pool)
  const told = await everything(pool)
  t.strictSame(told.counts, {
    received: 7,
    attempts: 8,
    succeeded: 2,
    unavailable: 1,
    refused: 1,
    unknown: 3,
    abandoned: 1,
    dead_lettered: 2,
    replayed: 1,
    duplicates: 1,
    conflicts: 1,
    rejected: 2,
  })
  t.strictSame(told.retries, [
    { retryCount: 0, messages: '7' },
    { retryCount: 1, messages: '3' },
  ])
  t.strictSame(told.unknown, { open: '1', success: '1', deadLetter: '1' })
  t.strictSame(told.ended, ['2', '6'], 'a success by a late answer has no attempt that ended with it')
  const [first, second] = told.failures
  t.match(first, { count: '3', examples: [unsure, superseded, late] })
  t.same(second?.count, '2')
  t.strictSame(
    told.failures.find(({ pattern }) => pattern === 'HTTP 503')?.examples,
    [failed],
    'a late failure fails nothing again',
  )
  t.strictSame(told.failures.find(({ pattern }) => pattern === 'HTTP 400')?.examples, [dead])
  t.match(
    told.partitions.find(({ partition }) => partition === 71)!,
    {
      nextOffset: '5',
      received: '1',
      duplicates: '1',
      conflicts: '1',
      rejected: '2',
      holes: '0',
      conserved: true,
    },
  )
})

t.test('folding changes nothing of what is read, and rebuilding finds nothing to change', async (t) => {
  const { pool } = await database(t)
  await fill(pool)
  const before = await everything(pool)
  t.strictSame(await rebuildAll(pool), [])
  await foldAll(pool)
  t.strictSame(await everything(pool), before)
  t.strictSame(await rebuildAll(pool), [])
  t.strictSame(await everything(pool), before)
})

t.test(
  'what has aged reads the same, what comes later is added to it, and rebuilding finds nothing',
  async (t) => {
    const { pool } = await database(t)
    await fill(pool)
    for (const resolution of ['hours', 'days'] as const) {
      const before = await everything(pool)
      await foldAll(pool)
      await ageTo(pool, resolution)
      t.strictSame(await everything(pool), before)
      t.match(await minutesKept(pool), [resolution === 'days' ? '00:00' : /^\d\d:00$/])
      t.strictSame(await rebuildAll(pool), [])
      // Two more attempts fail in an hour that has aged.
      const ids = await openAttempts(pool, 2)
      await settle(
        pool,
        fresh,
        ids.map((id, at) => ({ ...settlement(id, 1, unavailable), durationMs: 50_000 + at })),
      )
      const later = await everything(pool)
      t.equal(later.counts.unavailable, before.counts.unavailable! + 2)
      t.equal((await readLatency(pool, always)).attempt.maxMs, 50_001)
      t.strictSame(await rebuildAll(pool), [], 'not folded yet')
      await foldAll(pool)
      t.strictSame(await everything(pool), later)
      t.strictSame(await rebuildAll(pool), [])
    }
  },
)

t.test('what is wrong in a day that has aged is named and corrected there', async (t) => {
  const { pool } = await database(t)
  await fill(pool)
  await foldAll(pool)
  const before = await everything(pool)
  await ageTo(pool, 'days')
  await pool.query(`update rollups set n = n + 5 where measure = 'received'`)
  await pool.query(`update rollups set n = n + 1 where measure = 'attempt_max'`)
  await pool.query(`update failure_rollups set n = 9 where pattern = 'HTTP 503'`)
  // A row of a minute where there should be only days.
  await pool.query(
    `insert into rollups select minute + interval '7 minutes', 'rejected', 0, 4 from rollups where measure = 'received'`,
  )
  t.match(await rebuildAll(pool), [
    { kind: 'rollup', minute: /T00:00:00/, measure: 'attempt_max', is: '12000' },
    { kind: 'rollup', minute: /T00:00:00/, measure: 'received', was: '12', is: '7' },
    { kind: 'rollup', minute: /T00:07:00/, measure: 'rejected', was: '4', is: '0' },
    { kind: 'failures', minute: /T00:00:00/, pattern: 'HTTP 503', was: /^9,/, is: /^1,/ },
  ])
  t.strictSame(await rebuildAll(pool), [])
  t.strictSame(await everything(pool), before)
})

t.test('minutes come back by a rebuild, as far as the log has them', async (t) => {
  const { pool } = await database(t)
  await fill(pool)
  await foldAll(pool)
  const kept = 'select minute, measure, bucket, n from rollups where n <> 0 order by 1, 2, 3'
  const before = (await pool.query(kept)).rows
  await ageTo(pool, 'days')
  t.notSame((await pool.query(kept)).rows, before)
  await pool.query(`update rollup_bounds set hours_below = '-infinity', days_below = '-infinity'`)
  t.not((await rebuildAll(pool)).length, 0)
  t.strictSame((await pool.query(kept)).rows, before)
  t.strictSame(await rebuildAll(pool), [])
})

t.test('what is folded in several steps adds up, and the longest stays the longest', async (t) => {
  const { pool } = await database(t)
  for (const durationMs of [40, 900, 7]) {
    const [id] = await openAttempts(pool, 1)
    await settle(pool, fresh, [{ ...settlement(id!, 1, unavailable), durationMs }])
    await foldAll(pool)
  }
  const { attempt } = await readLatency(pool, always)
  t.equal(attempt.count, '3')
  t.equal(attempt.maxMs, 900)
  const [failure] = await readFailures(pool, always, 10)
  t.equal(failure?.count, '3')
  t.equal(failure?.examples.length, 3)
  t.strictSame(await rebuildAll(pool), [])
})

t.test('a fold is left undone while fewer statements wait than are worth it', async (t) => {
  const { pool } = await database(t)
  await openAttempts(pool, 1)
  await foldCounts(pool, 2)
  t.equal((await pool.query('select from status_count_deltas')).rowCount, 1)
  t.equal((await pool.query('select from rollups')).rowCount, 0)
})

t.test('rollups that are wrong are named and corrected, folded or not', async (t) => {
  const { pool } = await database(t)
  await fill(pool)
  const before = await everything(pool)
  await foldAll(pool)
  await openAttempts(pool, 2)
  await pool.query(`update rollups set n = n + 5 where measure = 'received'`)
  await pool.query(`update rollups set n = 1 where measure = 'attempt_max'`)
  await pool.query(`delete from rollups where measure = 'unknown_open'`)
  await pool.query(`insert into rollups values ('2020-01-01 00:00Z', 'end_to_end', 40, 3)`)
  await pool.query(`update failure_rollups set n = 9, examples = '{1}' where pattern = 'HTTP 503'`)
  await pool.query(`insert into failure_rollups values ('2020-01-01 00:00Z', 'nothing', 1, now(), '{1}')`)
  await pool.query(`update partition_folds set holes = holes + 1 where next_offset = 5`)
  const found = await rebuildAll(pool)
  t.match(
    found.filter((each) => each.kind === 'rollup').map(({ measure }) => measure),
    ['unknown_open', 'end_to_end', 'attempt_max', 'received'],
  )
  t.match(found, [
    { kind: 'rollup', measure: 'unknown_open', minute: null, was: '0', is: '1' },
    { kind: 'rollup', measure: 'end_to_end', minute: '2020-01-01T00:00:00.000000Z', was: '3', is: '0' },
    { kind: 'rollup', measure: 'attempt_max', was: '1', is: '12000' },
    { kind: 'rollup', measure: 'received' },
    { kind: 'failures', pattern: 'nothing', is: /^0,/ },
    { kind: 'failures', pattern: 'HTTP 503', was: /^9, .* such as \{1\}$/, is: /^1,/ },
    { kind: 'partition', topic: 'incoming', partition: 71 },
  ])
  t.strictSame(await rebuildAll(pool), [])
  const after = await everything(pool)
  t.equal(after.counts.received, before.counts.received! + 2)
  t.strictSame(
    { ...after.unknown, failures: after.failures },
    { ...before.unknown, failures: before.failures },
  )
  t.strictSame(
    after.partitions.find(({ partition }) => partition === 71),
    before.partitions.find(({ partition }) => partition === 71),
  )
})

t.test('beside writers and folds every snapshot of the rollups is what the log says', async (t) => {
  const { pool, url } = await database(t)
  const reader = await session(t, url)
  const written = new AbortController()
  const whileWriting = async (act: () => Promise<void>): Promise<number> => {
    let rounds = 0
    for (; !written.signal.aborted; rounds++) await act()
    return rounds
  }
  const folding = whileWriting(() => foldCounts(pool))
  const reading = whileWriting(async () => {
    await reader.database.query('begin isolation level repeatable read')
    const { rows } = await reader.database.query<{ received: number; succeeded: number; ended: number }>(
      `select count(*) filter (where type = 'received')::int as received,
         count(*) filter (where type = 'succeeded')::int as succeeded,
         count(*) filter (where type in ('succeeded', 'attempt_failed'))::int as ended from message_events`,
    )
    const told = await counts(reader.database)
    const { endToEnd, attempt } = await readLatency(reader.database, always)
    await reader.database.query('commit')
    t.strictSame(
      [told.received ?? 0, told.succeeded ?? 0, Number(endToEnd.count), Number(attempt.count)],
      [rows[0]!.received, rows[0]!.succeeded, rows[0]!.succeeded, rows[0]!.ended],
    )
  })
  const rebuilding = whileWriting(async () => {
    t.strictSame(await rebuildAll(pool), [])
  })
  await Promise.all(
    Array.from({ length: 3 }, async () => {
      for (let round = 0; round < 10; round++) {
        const ids = await openAttempts(pool, 10)
        await settle(
          pool,
          fresh,
          ids.map((id, at) => settlement(id, 1, at % 2 === 0 ? accepted : unavailable)),
        )
      }
    }),
  )
  written.abort()
  t.ok((await folding) > 0)
  t.ok((await reading) > 0)
  t.ok((await rebuilding) > 0)
})

t.test('a percentile is within its error bound of a duration that was recorded', async (t) => {
  const { pool } = await database(t)
  const durations = Array.from({ length: 200 }, (_, at) => Math.round(1.07 ** at))
  const ids = await openAttempts(pool, durations.length)
  await settle(
    pool,
    fresh,
    ids.map((id, at) => ({ ...settlement(id, 1, unavailable), durationMs: durations[at]! })),
  )
  const { attempt, endToEnd } = await readLatency(pool, always)
  t.equal(attempt.maxMs, durations[199])
  for (const [told, rank] of [
    [attempt.p50Ms, 100],
    [attempt.p90Ms, 180],
    [attempt.p99Ms, 198],
  ] as const) {
    const exact = durations[rank - 1]!
    t.ok(Math.abs(told! - exact) <= exact * errorBound, `${told} for ${exact}`)
  }
  t.strictSame(endToEnd, { count: '0', p50Ms: null, p90Ms: null, p99Ms: null, maxMs: null })
})

t.test('every bucket begins where it should, and a duration on a bound lies in the upper one', async (t) => {
  const { pool } = await database(t)
  const bounds = Array.from({ length: 140 }, (_, at) => Math.ceil(Number((100 * 2 ** (at / 4)).toFixed(3))))
  const { rows } = await pool.query<{ below: number; at: number }>(
    `select latency_bucket(b - 1) as below, latency_bucket(b) as at from unnest($1::float8[]) as b`,
    [bounds],
  )
  t.strictSame(
    rows,
    bounds.map((_, at) => ({ below: at, at: at + 1 })),
  )
})

t.test('buckets begin with the range, hold all of it, and are there when nothing happened', async (t) => {
  const { pool } = await database(t)
  await pool.query(
    `insert into rollups
     select '2026-01-01 10:00Z'::timestamptz + m * interval '1 minute', 'received', 0, m from generate_series(1, 10) as m`,
  )
  const minutes = await readMinutes(pool, '2026-01-01T10:02:30.000000Z', '2026-01-01T10:08:00.000001Z', 60)
  t.strictSame(minutes, {
    first: '2026-01-01T10:02:00.000000Z',
    last: '2026-01-01T10:08:00.000000Z',
    count: 7,
  })
  t.strictSame(await readThroughput(pool, minutes, 180), [
    { at: '2026-01-01T10:02:00.000000Z', seconds: 180, counts: { received: '9' } },
    { at: '2026-01-01T10:05:00.000000Z', seconds: 180, counts: { received: '18' } },
    { at: '2026-01-01T10:08:00.000000Z', seconds: 60, counts: { received: '8' } },
  ])
  const later = await readMinutes(pool, '2026-01-02T00:00:00Z', '2026-01-02T00:02:00Z', 60)
  t.strictSame(await readThroughput(pool, later, 60), [
    { at: '2026-01-02T00:00:00.000000Z', seconds: 60, counts: {} },
    { at: '2026-01-02T00:01:00.000000Z', seconds: 60, counts: {} },
  ])
})

t.test(
  'where hours and days are kept, edges and buckets widen to whole ones, and no row is told twice or missed',
  async (t) => {
    const { pool } = await database(t)
    await pool.query(
      `insert into rollups
     select m, 'received', 0, 1
     from generate_series('2026-01-01 00:00Z'::timestamptz, '2026-01-03 23:59Z', interval '1 minute') as m`,
    )
    await pool.query(`insert into failure_rollups select minute, 'HTTP 503', n, minute, '{1}' from rollups`)
    await pool.query(
      `do $$ begin
       perform age_span('1 hour', '-infinity', '2026-01-03 00:00Z', 10000);
       perform age_span('24 hours', '-infinity', '2026-01-02 00:00Z', 10000);
       update rollup_bounds set hours_below = '2026-01-03 00:00Z', days_below = '2026-01-02 00:00Z';
     end $$`,
    )
    t.equal((await pool.query('select from rollups')).rowCount, 1 + 24 + 1_440)
    const read = async (from: string, to: string, bucketSeconds: number) => {
      const minutes = await readMinutes(pool, `2026-01-${from}Z`, `2026-01-${to}Z`, 60)
      const buckets = await readThroughput(pool, minutes, bucketSeconds)
      const [failures] = await readFailures(pool, minutes, 1)
      const received = buckets.reduce((sum, { counts }) => sum + Number(counts.received ?? 0), 0)
      t.equal(failures?.count, String(received), 'the failures are of the same time')
      return buckets.map(({ at, seconds, counts }) => `${at.slice(8, 16)} ${seconds} ${counts.received}`)
    }
    t.strictSame(await read('02T10:20:00', '02T12:20:00', 60), [
      '02T10:00 3600 60',
      '02T11:00 3600 60',
      '02T12:00 3600 60',
    ])
    t.strictSame(await read('02T10:20:00', '02T14:00:00', 5_400), ['02T10:00 7200 120', '02T12:00 7200 120'])
    t.strictSame(await read('02T22:59:00', '03T00:10:00', 1_800), [
      '02T22:00 3600 60',
      '02T23:00 3600 60',
      '03T00:00 600 10',
    ])
    t.strictSame(await read('01T23:00:00', '03T12:00:00', 3_600), [
      '01T00:00 86400 1440',
      '02T00:00 86400 1440',
      '03T00:00 43200 720',
    ])
    t.strictSame(await read('01T10:00:00', '01T11:00:00', 60), ['01T00:00 86400 1440'])
    t.strictSame(await read('03T00:00:00', '03T00:02:00', 60), ['03T00:00 60 1', '03T00:01 60 1'])
  },
)

t.test('a reason that is all numbers still fits into the rollups', async (t) => {
  const { pool } = await database(t)
  const [id] = await openAttempts(pool, 1)
  const reason = Array.from({ length: 700 }, (_, at) => at % 9).join(' ')
  t.equal(await settleOne(pool, fresh, id!, 1, { ...unavailable, reason }), 'appended')
  const [failure] = await readFailures(pool, always, 1)
  t.equal(failure?.pattern.length, 500)
  t.strictSame(await rebuildAll(pool), [])
})
