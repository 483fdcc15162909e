import t from 'tap'
import pg from 'pg'
import { classifyFault } from '../../../src/log/server/fault.ts'
import { database } from '../../support/database.ts'
import { session, waitsFor } from '../support.ts'

const { pool, url } = await database(t)

async function faultOf(text: string, values: unknown[] = []): Promise<unknown> {
  return pool.query(text, values).then(() => 'none', classifyFault)
}

function raise(code: string): string {
  return `do $$ begin raise exception 'x' using errcode = '${code}'; end $$`
}

t.test('a value that PostgreSQL refuses is a fault of the data', async (t) => {
  t.equal(await faultOf('select $1::text', ['a\0b']), 'data')
  t.equal(await faultOf('select $1::json', ['[{']), 'data')
  t.equal(await faultOf('select $1::jsonb', ['"\\u0000"']), 'data')
  t.equal(await faultOf('select $1::bigint[]', [Buffer.of(0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 20)]), 'data')
})

t.test('a limit of the server and arithmetic of ours are no fault of the data', async (t) => {
  t.equal(await faultOf(raise('54000')), 'lost', 'the queue of notifications is full, or ids have run out')
  t.equal(await faultOf(`select repeat('a', 2000000000)::bytea || repeat('a', 2000000000)::bytea`), 'lost')
  t.equal(await faultOf('select 1 / 0'), 'lost')
  t.equal(await faultOf('select 2147483647 + 1'), 'lost')
  t.equal(await faultOf(raise('21000')), 'lost')
})

t.test('what contradicts the log is a fault of ours, and nothing of it was committed', async (t) => {
  t.equal(await faultOf('insert into inbox (transaction_id) values (null)'), 'broken')
  const mistaken = `insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count)
    values (1, 2, 1, now(), 'succeeded', 'a', 'success', 0)`
  t.equal(await faultOf(mistaken), 'broken', 'an illegal transition')
  const twice = 'insert into log_epochs select * from log_epochs'
  t.equal(await faultOf(twice), 'broken', 'a key that is there')
})

t.test('a race that was lost may be sent again', async (t) => {
  t.equal(await faultOf(raise('40001')), 'transient')
  const one = await session(t, url)
  const other = await session(t, url)
  const lock = (key: number): string => `select pg_advisory_xact_lock(${key})`
  await one.database.query('begin')
  await other.database.query('begin')
  await one.database.query(lock(1))
  await other.database.query(lock(2))
  const first = one.database.query(lock(2)).catch(classifyFault)
  await waitsFor(pool, one, other, first)
  const second = other.database.query(lock(1)).catch(classifyFault)
  const ended = await Promise.race([first, second])
  t.equal(ended, 'transient')
  await Promise.all([one, other].map(({ database }) => database.query('rollback')))
})

t.test('a lock that another session keeps is neither lost nor to be tried again at once', async (t) => {
  const one = await session(t, url)
  const other = await session(t, url)
  await one.database.query('begin')
  await one.database.query('select pg_advisory_xact_lock(3)')
  await other.database.query(`set lock_timeout = '10ms'`)
  t.equal(
    await other.database.query('select pg_advisory_xact_lock(3)').then(() => 'none', classifyFault),
    'locked',
  )
  await one.database.query('rollback')
})

t.test('a database that lacks what it should have is no fault of the data', async (t) => {
  t.equal(await faultOf('select * from no_such_table'), 'lost')
  t.equal(await faultOf('select no_such_function()'), 'lost')
})

t.test('a database that is gone is lost, whatever it says', async (t) => {
  t.equal(await faultOf('select pg_terminate_backend(pg_backend_pid())'), 'lost')
  const nowhere = new pg.Client({ host: '127.0.0.1', port: 1 })
  nowhere.on('error', () => undefined)
  t.equal(await nowhere.connect().then(() => 'none', classifyFault), 'lost')
  t.equal(classifyFault(new Error('Query read timeout')), 'lost')
  t.equal(await faultOf(raise('53100')), 'lost', 'disk full passes')
})
