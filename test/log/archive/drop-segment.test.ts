import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Pool } from 'pg'
import t from 'tap'
import { isClean } from '../../../src/verify/print.ts'
import { verify } from '../../../src/verify/verify.ts'
import { archiveAll } from '../../support/archive.ts'
import { rebuildAll } from '../../support/rebuild.ts'
import { until } from '../../support/until.ts'
import { fill, first, second } from '../../verify/archived.ts'

async function waits(pool: Pool, locktype: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    `select from pg_locks where locktype = $1 and not granted and database = (select oid from pg_database where datname = current_database())`,
    [locktype],
  )
  return rowCount !== 0
}

t.test('a rebuild that comes while a segment is dropped counts the segment once', async (t) => {
  const { url, pool, to } = await fill(t)
  // The drop of each segment stops before its commit.
  await pool.query(`
    create function stop_here() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(4711, new.segment);
      return null;
    end $$;
    create constraint trigger stop_here after insert on segment_archives deferrable initially deferred
      for each row execute function stop_here()`)
  const holder = await pool.connect()
  await holder.query('select pg_advisory_lock(4711, 1), pg_advisory_lock(4711, 2)')
  const running = archiveAll(url, to)
  for (const [segment, name] of [
    [1, 'rebuild_rollups'],
    [2, 'rebuild_failures'],
  ] as const) {
    await until(`segment ${segment} to be dropped`, () => waits(pool, 'advisory'))
    const rebuilding = pool.query(`select * from ${name}()`)
    await until('the rebuild to wait', () => waits(pool, 'relation'))
    await holder.query('select pg_advisory_unlock(4711, $1)', [segment])
    t.same((await rebuilding).rows, [], name)
  }
  await running
  holder.release()
  t.same(await rebuildAll(pool), [])
})

t.test('an event that takes over the position of a later transaction keeps the segment', async (t) => {
  const { url, pool, history, to } = await fill(t)
  const early = await pool.connect()
  await early.query('begin')
  await early.query('select pg_current_xact_id()')
  await early.query('lock table message_states in row exclusive mode')
  await history.receive(['delivered'])
  const running = archiveAll(url, to)
  await until('the archive to be written', async () => existsSync(join(to, first)))
  await early.query(`select * from expunge(array['delivered'], 'alice', 'asked')`)
  await early.query('commit')
  early.release()
  await t.rejects(running, /^an event was appended to it meanwhile/i)
  const { rows } = await pool.query(
    `select e.type, e.position = b.position as takes_over from inbox i
      join message_events e on e.message_id = i.message_id
      join message_events b on b.message_id = e.message_id and b.version = e.version - 1
      where i.transaction_id = 'delivered' order by e.version desc limit 1`,
  )
  t.strictSame(rows, [{ type: 'expunged', takes_over: true }])
  t.ok(isClean(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })))
})

t.test(
  'an event that comes while the archive is written keeps the segment, and no archive of two moments is left',
  async (t) => {
    const { url, pool, to } = await fill(t)
    const other = await pool.connect()
    await other.query('begin')
    await other.query('lock table records in access exclusive mode')
    const running = archiveAll(url, to)
    await until('the archive to read its first line', () => waits(pool, 'relation'))
    await other.query(`select * from expunge(array['delivered'], 'alice', 'asked')`)
    await other.query('commit')
    other.release()
    t.same(await running, [second])
    t.notOk(existsSync(join(to, first)))
    t.same(await archiveAll(url, to), [first], 'the next run archives it')
    const report = await verify({ databaseUrl: url, ledgerPath: null, acksPath: null, archives: [to] })
    t.ok(isClean(report))
  },
)
