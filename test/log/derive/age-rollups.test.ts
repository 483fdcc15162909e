import { readFile } from 'node:fs/promises'
import t from 'tap'
import type pg from 'pg'
import { agePiece, foldPiece } from '../../../src/log/write/fold-counts.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { session } from '../support.ts'

/** Rollups of a working day in each of the last so many days: one minute in twenty, with three measures and one failure each. */
async function fill(pool: pg.Pool, days: number): Promise<void> {
  await pool.query(
    `with minute as (
       select m, row_number() over () as n
       from generate_series(date_bin('24 hours', now() - $1 * interval '24 hours', 'epoch'), now(), interval '20 minutes') as m
     ),
     failure as (
       insert into failure_rollups (minute, pattern, n, last_at, examples)
         select m, 'HTTP ' || 500 + n % 4, n % 7 + 1, m + interval '59 seconds', array[n, n - 1, n - 2] from minute
     )
     insert into rollups (minute, measure, bucket, n)
       select m, 'received', 0, n from minute
       union all
       select m, 'attempt', (n % 5)::int, n % 3 + 1 from minute
       union all
       select m, 'attempt_max', 0, (n * 7919) % 10007 from minute`,
    [days],
  )
  await pool.query(
    `insert into rollups values ('-infinity', 'retries', 0, 12), ('-infinity', 'retries', 1, 3)`,
  )
}

/** What each day came to. It says the same, however coarse the rows are that it is read from. */
const byDay = `
  select 'rollup' as kind, to_char(r.minute at time zone 'UTC', 'YYYY-MM-DD') as day, r.measure as name, r.bucket,
    case when is_maximum(r.measure) then max(r.n) else sum(r.n) end::text as n, null as last_at, null as examples
  from read_rollups('-infinity', 'infinity', null) r
  group by 2, 3, 4
  union all
  select 'failure', to_char(f.minute at time zone 'UTC', 'YYYY-MM-DD'), f.pattern, 0, sum(f.n)::text, max(f.last_at)::text,
    example_ids(f.examples)::text
  from read_failures('-infinity', 'infinity') f
  group by 2, 3
  order by 1, 2, 3, 4`

async function days(database: Pick<pg.Pool, 'query'>): Promise<unknown[]> {
  return (await database.query<Record<string, unknown>>(byDay)).rows
}

/** How many rows there are in the stretches that are kept by the day, by the hour and by the minute, and how many lie askew. */
async function rows(pool: pg.Pool, at = new Date()): Promise<Record<string, number>> {
  const { rows } = await pool.query<Record<string, number>>(
    `select
       count(*) filter (where minute < $1::timestamptz - interval '402 days')::int as in_days,
       count(*) filter (where minute between $1::timestamptz - interval '399 days' and $1::timestamptz - interval '36 days')::int as in_hours,
       count(*) filter (where minute > $1::timestamptz - interval '34 days')::int as in_minutes,
       count(*) filter (where minute < $1::timestamptz - interval '402 days' and minute <> date_bin('24 hours', minute, 'epoch')
         or minute < $1::timestamptz - interval '36 days' and minute <> date_bin('1 hour', minute, 'epoch'))::int as askew
     from (select minute from rollups union all select minute from failure_rollups) r
     where minute > '-infinity'`,
    [at],
  )
  return rows[0]!
}

type Bounds = { hours: string; days: string }

async function bounds(pool: pg.Pool): Promise<Bounds> {
  const { rows } = await pool.query<Bounds>(
    'select hours_below::text as hours, days_below::text as days from rollup_bounds',
  )
  return rows[0]!
}

async function age(
  pool: Pick<pg.Pool, 'query'>,
  hours: string,
  days: string,
  rowsMax = 10_000,
): Promise<boolean> {
  const { rows } = await pool.query<{ more: boolean }>('select age_rollups($1, $2, $3) as more', [
    hours,
    days,
    rowsMax,
  ])
  return rows[0]!.more
}

t.test('of three years the old minutes become hours and days, and each day reads the same', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 1_095)
  const at = new Date()
  const [before, told] = [await rows(pool, at), await days(pool)]
  let pieces = 1
  while (await agePiece(pool)) pieces++
  const after = await rows(pool, at)
  t.strictSame(await days(pool), told)
  t.equal(after.askew, 0)
  t.equal(after.in_minutes, before.in_minutes)
  t.ok(after.in_hours! < before.in_hours! * 0.8, `${before.in_hours} rows became ${after.in_hours}`)
  t.ok(after.in_days! < before.in_days! / 20, `${before.in_days} rows became ${after.in_days}`)
  t.ok(pieces > 20 && pieces < 100, `${pieces} pieces`)
  t.comment(JSON.stringify({ before, after, pieces }))
  const { rows: present } = await pool.query(
    `select bucket, n::int from rollups where minute = '-infinity' order by 1`,
  )
  t.strictSame(present, [
    { bucket: 0, n: 12 },
    { bucket: 1, n: 3 },
  ])
})

t.test('a piece takes so many rows of each table at most, or one hour or day that has more', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 60)
  const told = await days(pool)
  const between = `select (select count(*)::int from rollups where minute >= $1 and minute < $2 and minute > '-infinity') as counts,
    (select count(*)::int from failure_rollups where minute >= $1 and minute < $2) as failures`
  for (const [most, expected] of [
    [1, { counts: 9, failures: 3 }],
    [100, { counts: 100, failures: 100 }],
  ] as const) {
    const { rows: copied } = await pool.query<{ minute: Date }>('select minute from rollups')
    t.ok(copied.length > 0)
    for (let more = true, pieces = 0; more && pieces < 40; pieces++) {
      const client = await pool.connect()
      try {
        await client.query('begin')
        const from = (await bounds(client as unknown as pg.Pool)).hours
        // What the piece will take is counted before it is taken.
        await client.query('savepoint before')
        await age(client, '35 days', '400 days', most)
        const to = (await bounds(client as unknown as pg.Pool)).hours
        await client.query('rollback to before')
        const { rows: taken } = await client.query<{ counts: number; failures: number }>(between, [from, to])
        t.ok(
          taken[0]!.counts <= expected.counts && taken[0]!.failures <= expected.failures,
          `${JSON.stringify(taken[0])} with ${most}`,
        )
        more = await age(client, '35 days', '400 days', most)
        await client.query('commit')
      } finally {
        client.release()
      }
    }
  }
  t.strictSame(await days(pool), told)
})

t.test('ageing again changes nothing, and the bounds never go back', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 60)
  while (await age(pool, '10 days', '20 days'));
  const [aged, reached] = [
    (await pool.query('select * from rollups order by 1, 2, 3')).rows,
    await bounds(pool),
  ]
  t.notOk(await age(pool, '10 days', '20 days'))
  t.notOk(await agePiece(pool))
  t.strictSame((await pool.query('select * from rollups order by 1, 2, 3')).rows, aged)
  t.strictSame(await bounds(pool), reached)
})

t.test('a piece that fails leaves everything as it was, and the next one does its work', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 60)
  const [told, reached] = [await days(pool), await bounds(pool)]
  await pool.query(`alter table rollup_bounds add constraint broken check (hours_below = '-infinity')`)
  await t.rejects(agePiece(pool), { code: '23514' })
  t.strictSame(await bounds(pool), reached)
  t.strictSame((await rows(pool)).askew! > 0, true)
  await pool.query('alter table rollup_bounds drop constraint broken')
  while (await agePiece(pool));
  t.strictSame(await days(pool), told)
  t.equal((await rows(pool)).askew, 0)
})

t.test('while another session folds, nothing ages', async (t) => {
  const { pool, url } = await database(t)
  await fill(pool, 60)
  const other = await session(t, url)
  await other.database.query('begin')
  await other.database.query(`select pg_advisory_xact_lock(hashtextextended('fold_counts', 0))`)
  t.notOk(await agePiece(pool))
  t.match(await bounds(pool), { hours: '-infinity' })
  await other.database.query('rollback')
  while (await agePiece(pool));
  t.equal((await rows(pool)).askew, 0)
})

/** What a statement leaves that counts something in an old minute, far below any watermark that a cluster can have. */
async function addLate(pool: pg.Pool, position: number, minute: string): Promise<void> {
  await pool.query(
    `with failure as (
       insert into failure_deltas (position, minute, pattern, n, last_at, examples)
         values ($1, $2, 'HTTP 500', 5, $2::timestamptz + interval '1 second', array[$1::bigint + 1000000])
     )
     insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets, counts)
       values ($1, 0, 0, 0, 0, 0, array[$2, $2, '-infinity']::timestamptz[], array['received', 'attempt_max', 'retries'],
         array[0, 0, 0], array[3, 99999, 1])`,
    [position, minute],
  )
}

t.test('what is counted late in a minute that has aged is added to its hour or day', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 500)
  const { rows: minutes } = await pool.query<{ minute: string }>(
    `select (date_bin('24 hours', now(), 'epoch') - a * interval '24 hours' + interval '13 hours 37 minutes')::text as minute
     from unnest(array[450, 100, 5]) as a`,
  )
  for (const [at, { minute }] of minutes.entries()) await addLate(pool, at + 1, minute)
  const told = await days(pool)
  while (await agePiece(pool));
  t.strictSame(await days(pool), told, 'not folded yet')
  await until('the late deltas to be folded', async () => {
    await foldPiece(pool)
    return (await pool.query('select from status_count_deltas where position between 1 and 3')).rowCount === 0
  })
  t.strictSame(await days(pool), told, 'folded')
  t.equal((await rows(pool)).askew, 0)
  const { rows: longest } = await pool.query<{ at: string }>(
    `select to_char(minute at time zone 'UTC', 'HH24:MI') as at from rollups where n = 99999 order by minute`,
  )
  t.strictSame(
    longest.map(({ at }) => at),
    ['00:00', '13:00', '13:37'],
  )
})

t.test('beside pieces and late counts every snapshot is the same', async (t) => {
  const { pool, url } = await database(t)
  await fill(pool, 90)
  for (let position = 1; position <= 40; position++)
    await addLate(pool, position, `2026-01-01 0${position % 10}:${position + 10}Z`)
  const told = await days(pool)
  const reader = await session(t, url)
  const aged = new AbortController()
  const reading = (async () => {
    let rounds = 0
    for (; !aged.signal.aborted || rounds < 2; rounds++) t.strictSame(await days(reader.database), told)
    return rounds
  })()
  while (await age(pool, '10 days', '20 days', 300)) await pool.query('select fold_piece(1, 3)')
  aged.abort()
  t.ok((await reading) >= 2)
  t.strictSame(await days(pool), told)
})

t.test('a measure that is lost with its bounds is read by the minute again', async (t) => {
  const { pool } = await database(t)
  await fill(pool, 60)
  await pool.query('delete from rollup_bounds')
  const told = await days(pool)
  t.ok(told.length > 60)
  while (await agePiece(pool));
  t.strictSame(await days(pool), told)
  t.notMatch(await bounds(pool), { hours: '-infinity' })
})

t.test('what is said of the two ages is what the function has', async (t) => {
  const read = (path: string): Promise<string> =>
    readFile(new URL(`../../../${path}`, import.meta.url), 'utf8')
  const source = await read('migrations/functions/derive/age_piece.sql')
  const [, hours, days] = /age_rollups\('(\d+) days', '(\d+) days'\)/.exec(source) ?? []
  for (const path of [
    'docs/deploy.md',
    'docs/api.md',
    'schema/schema.graphql',
    'src/log/write/fold-counts.ts',
  ]) {
    const ages = [...(await read(path)).matchAll(/older than (\d+) days/g)].map(([, age]) => age)
    t.strictSame(new Set(ages), new Set([hours, days]), path)
  }
})
