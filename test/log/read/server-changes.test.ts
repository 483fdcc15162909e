import t from 'tap'
import type pg from 'pg'
import { recognizeServer } from '../../../src/log/server/recognize-server.ts'
import { findExpired } from '../../../src/log/write/abandon.ts'
import { findOpenAttempts } from '../../../src/log/write/find-open-attempts.ts'
import { database } from '../../support/database.ts'
import {
  fresh,
  idOf,
  lookOnce,
  newName,
  noGrace,
  openAttempt,
  record,
  session,
  store,
  waitsFor,
} from '../support.ts'

async function positionOf(pool: pg.Pool): Promise<bigint> {
  const { lastPosition } = await lookOnce(pool, 'retry')
  return lastPosition
}

async function changes(pool: pg.Pool): Promise<Record<string, unknown>[]> {
  const { rows } = await pool.query<Record<string, unknown>>('select * from server_changes order by epoch')
  return rows
}

/** The log says of itself that it was last on another server, as a copy or a promoted standby does. */
async function moveFrom(pool: pg.Pool, column: string, value: string): Promise<void> {
  await pool.query('alter table server_changes disable trigger append_only')
  await pool.query(`update server_changes set ${column} = $1`, [value])
  await pool.query('alter table server_changes enable always trigger append_only')
}

t.test('the first to ask writes down where the log began, and that is no change', async (t) => {
  const { pool } = await database(t)
  const found = await recognizeServer(pool, 'instance-1', null, null)
  t.match(found, { epoch: 1, timeline: 1, fromTimeline: null })
  t.strictSame(await recognizeServer(pool, 'instance-2', null, null), found)
  t.strictSame(await recognizeServer(pool, 'instance-2', found!.change, 0n), found)
  const rows = await changes(pool)
  t.match(rows, [{ epoch: 1, actor: 'instance-1', timeline: 1, from_timeline: null, from_position: null }])
  const { rows: known } = await pool.query(
    'select system_identifier::text as system from pg_control_system()',
  )
  t.equal(rows[0]!.system_identifier, (known[0] as { system: string }).system)
  t.equal(rows.length, 1)
})

for (const [column, value, name] of [
  ['timeline', '7', 'a promoted standby'],
  ['system_identifier', '42', 'a copy in another cluster'],
] as const) {
  t.test(
    `${name} is written down once, by whoever comes first, and gives out no id or position again`,
    async (t) => {
      const { pool } = await database(t)
      await store(pool, [record(0, newName())])
      const before = await recognizeServer(pool, 'instance-1', null, null)
      const [earlier, last] = [await positionOf(pool), newName()]
      await store(pool, [record(0, last)])
      await moveFrom(pool, column, value)
      const found = await recognizeServer(pool, 'instance-1', before!.change, earlier)
      t.match(found, { epoch: 2, timeline: 1, lostPositions: 0n })
      t.strictSame(await recognizeServer(pool, 'instance-2', before!.change, earlier), found)
      t.strictSame(await recognizeServer(pool, 'instance-3', null, null), found)
      const rows = await changes(pool)
      t.equal(rows.length, 2)
      t.match(rows[1], { actor: 'instance-1', from_position: String(earlier), lost_after: Date })
      const highest = await idOf(pool, last)
      const name = newName()
      const reached = await positionOf(pool)
      await store(pool, [record(0, name)])
      t.ok(BigInt(await idOf(pool, name)) > BigInt(highest) + 1_000_000n)
      t.ok((await positionOf(pool)) > reached + 1_000_000n)
    },
  )
}

t.test('a log that ends below what was seen in it was put back, though the server is the same', async (t) => {
  const { pool } = await database(t)
  await store(pool, [record(0, newName())])
  const before = await recognizeServer(pool, 'instance-1', null, null)
  const reached = await positionOf(pool)
  t.strictSame(
    await recognizeServer(pool, 'instance-1', before!.change, reached),
    before,
    'all of it is there',
  )
  const found = await recognizeServer(pool, 'instance-1', before!.change, reached + 500n)
  t.match(found, { epoch: 2, lostPositions: 500n })
  t.strictSame(
    await recognizeServer(pool, 'instance-2', before!.change, reached + 400n),
    found,
    'one who comes later and has not heard of it finds it written down',
  )
  await store(pool, [record(0, newName())])
  t.ok((await positionOf(pool)) > reached + 1_000_500n)
  t.match(
    await recognizeServer(pool, 'instance-2', '9@1', reached + 2_000_000n),
    { epoch: 3 },
    'a copy from before a change that somebody knows is another one',
  )
})

t.test(
  'attempts from before a change are neither taken up by their lane nor taken over before a grace',
  async (t) => {
    const { pool } = await database(t)
    await recognizeServer(pool, 'instance-1', null, null)
    const messageId = await openAttempt(pool, 0)
    t.equal((await findOpenAttempts(pool, fresh)).length, 1)
    const uptime = `(extract(epoch from clock_timestamp() - pg_postmaster_start_time()) * 1000)::int`
    const { rows } = await pool.query<{ ms: number }>(`select ${uptime} as ms`)
    // A grace that the server's own start fulfils by now, as that of a standby that is promoted does.
    const lease = { ...noGrace, graceMs: Math.floor(rows[0]!.ms / 2) }
    t.match(await findExpired(pool, lease, '-infinity', 10), [{ messageId }])
    await moveFrom(pool, 'timeline', '7')
    await recognizeServer(pool, 'instance-2', null, null)
    t.strictSame(await findOpenAttempts(pool, fresh), [])
    t.strictSame(await findExpired(pool, lease, '-infinity', 10), [])
    t.match(await findExpired(pool, noGrace, '-infinity', 10), [{ messageId }], 'and is found after it')
  },
)

t.test(
  'a dump that is open on a promoted standby does not hold up its recognition, nor payments',
  async (t) => {
    const { pool, url } = await database(t)
    await recognizeServer(pool, 'instance-1', null, null)
    await moveFrom(pool, 'timeline', '7')
    const dump = await session(t, url)
    await dump.database.query('begin isolation level repeatable read, read only')
    // As pg_dump locks every table, until it ends.
    await dump.database.query('lock table log_epochs, server_changes in access share mode')
    const own = await session(t, url)
    await own.database.query(`set lock_timeout = '3s'`)
    t.match(await recognizeServer(own.database, 'instance-1', null, null), { epoch: 2 })
    const name = newName()
    await store(own.database, [record(0, name)])
    t.ok(BigInt(await idOf(pool, name)) > 1_000_000n)
    t.match((await dump.database.query('select epoch from log_epochs')).rows, [{ epoch: 1 }])
    await dump.database.query('commit')
  },
)

t.test(
  'a change is recorded only when what was being appended is committed, and what comes meanwhile follows it',
  async (t) => {
    const { pool, url } = await database(t)
    await recognizeServer(pool, 'instance-1', null, null)
    await moveFrom(pool, 'timeline', '7')
    const appending = await session(t, url)
    const recognizing = await session(t, url)
    const later = await session(t, url)
    const positionIn = async ({ database }: typeof later): Promise<bigint> => {
      const { rows } = await database.query<{ position: string }>('select current_position() as position')
      return BigInt(rows[0]!.position)
    }
    await appending.database.query('begin')
    const before = await positionIn(appending)
    const recognized = recognizeServer(recognizing.database, 'instance-1', null, null)
    await waitsFor(pool, recognizing, appending, recognized)
    const after = positionIn(later)
    await waitsFor(pool, later, recognizing, after)
    await appending.database.query('commit')
    t.match(await recognized, { epoch: 2 })
    t.ok((await after) > before + 1_000_000n, 'it has a position of the new epoch')
  },
)
