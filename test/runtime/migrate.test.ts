import t from 'tap'
import pg from 'pg'
import { migrate, StartRefused } from '../../src/runtime/migrate.ts'
import { database } from '../support/database.ts'

async function applied(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>('select name from schema_migrations order by name')
  return rows.map((row) => row.name)
}

/** Null if it was not refused, or failed otherwise. */
async function refusal(url: string): Promise<StartRefused | null> {
  return migrate({ connectionString: url }).then(
    () => null,
    (error: unknown) => (error instanceof StartRefused ? error : null),
  )
}

t.test('an empty database gets every migration and every function, in order, and says so', async (t) => {
  const { pool, url } = await database(t, { empty: true })
  const names = await migrate({ connectionString: url })
  const migrations = names.filter((name) => !name.startsWith('functions/'))
  t.strictSame(migrations, await applied(pool))
  t.strictSame(migrations, migrations.toSorted())
  t.equal(migrations[0], '0001_log.sql')
  t.ok(names.includes('functions/project.sql'))
  t.strictSame(await migrate({ connectionString: url }), [], 'a second time there is nothing to do')
})

t.test('a database that is strict with new functions takes ours', async (t) => {
  const { pool, url } = await database(t, { empty: true })
  await pool.query(`alter database ${new URL(url).pathname.slice(1)} set plpgsql.extra_errors = 'all'`)
  t.ok((await migrate({ connectionString: url })).includes('functions/project.sql'))
})

t.test('several instances that start at once apply each file once', async (t) => {
  const { pool, url } = await database(t, { empty: true })
  const start = async (): Promise<string[]> => {
    try {
      return await migrate({ connectionString: url })
    } catch (error) {
      // An instance that waited for long says so and tries again. The holder is not named if it has just let go.
      const fault = error instanceof Error && error.cause !== undefined ? error.cause : error
      if (!(fault instanceof pg.DatabaseError) || fault.code !== '55P03') throw error
      return start()
    }
  }
  const answers = await Promise.all(Array.from({ length: 5 }, start))
  t.equal(answers.filter((names) => names.length > 0).length, 1)
  t.strictSame(await applied(pool), ['0001_log.sql', ...(await applied(pool)).slice(1)])
  const { rows } = await pool.query<{ pending: string }>('select pending from status_count_folds')
  t.equal(rows.length, 1)
})

t.test(
  'what an operator has locked is given up soon, so that nobody queues behind it, and who it is is named',
  async (t) => {
    const { url, pool } = await database(t, { empty: true })
    await migrate({ connectionString: url })
    const operator = await pool.connect()
    await operator.query('begin')
    await operator.query(`set application_name = 'psql'`)
    await operator.query('lock table schema_functions in access exclusive mode')
    const { rows } = await operator.query<{ pid: number }>('select pg_backend_pid() as pid')
    await t.rejects(migrate({ connectionString: url }), {
      message: `a lock was waited for in vain, and the oldest transaction on these tables is that of process ${rows[0]!.pid} (psql, idle in transaction)`,
      cause: { code: '55P03' },
    })
    await operator.query('rollback')
    operator.release()
    t.strictSame(await migrate({ connectionString: url }), [])
  },
)

t.test('an instance that starts while another one migrates leaves all to it, and names it', async (t) => {
  const { pool, url } = await database(t, { empty: true })
  const other = new pg.Client({ connectionString: url, application_name: 'another start' })
  await other.connect()
  t.teardown(() => other.end())
  // The number is migrate.ts's own: what is tested here is that it waits for it.
  const { rows } = await other.query<{ pid: number }>(
    'select pg_backend_pid() as pid from pg_advisory_lock(7233841902)',
  )
  await t.rejects(migrate({ connectionString: url }), {
    message: `process ${rows[0]!.pid} (another start, idle) holds the lock of migrations`,
  })
  t.strictSame((await pool.query(`select to_regclass('schema_migrations') as exists`)).rows, [
    { exists: null },
  ])
  await other.query('select pg_advisory_unlock(7233841902)')
  t.ok((await migrate({ connectionString: url })).length > 0)
})

t.test('a migration that was edited after it had been applied refuses, and changes nothing', async (t) => {
  const { pool, url } = await database(t)
  await pool.query(`update schema_migrations set checksum = 'of another text' where name = '0001_log.sql'`)
  await pool.query(`update schema_functions set checksum = 'old' where name = 'project.sql'`)
  const refused = await refusal(url)
  t.equal(
    refused?.message,
    'migrations/0001_log.sql was edited after it had been applied: put it back and add a new file instead.',
  )
  const { rows } = await pool.query(`select checksum from schema_functions where name = 'project.sql'`)
  t.strictSame(rows, [{ checksum: 'old' }])
})

t.test('a schema that is newer than this release refuses', async (t) => {
  const { pool, url } = await database(t)
  await pool.query(`insert into schema_migrations (name, checksum) values ('9999_tomorrow.sql', 'x')`)
  const refused = await refusal(url)
  t.match(refused?.message, /newer than this release: it has 9999_tomorrow\.sql/)
})

const source = async (pool: pg.Pool): Promise<unknown> =>
  (await pool.query(`select prosrc from pg_proc where proname = 'watermark'`)).rows

t.test('a function whose text has changed is applied again, and no other', async (t) => {
  const { pool, url } = await database(t)
  const before = await source(pool)
  await pool.query(`create or replace function watermark() returns bigint language sql as 'select 0::bigint'`)
  t.notSame(await source(pool), before)
  await pool.query(`update schema_functions set checksum = 'of the text above' where name = 'watermark.sql'`)
  t.strictSame(await migrate({ connectionString: url }), ['functions/watermark.sql'])
  t.strictSame(await source(pool), before)
})

t.test('a function whose parameters had other names is made anew, also for whoever calls it', async (t) => {
  const { pool, url } = await database(t)
  await pool.query('drop function unlocked_of')
  await pool.query(
    `create function unlocked_of(message_ids bigint[]) returns bigint[] language sql as 'select message_ids'`,
  )
  await pool.query(`update schema_functions set checksum = 'old', edition = 0 where name = 'unlocked_of.sql'`)
  // An instance of the release before, which calls by order from a prepared statement.
  const before = await pool.connect()
  t.teardown(() => {
    before.release()
  })
  const ask = () => before.query({ name: 'unlocked', text: 'select unlocked_of($1) as ids', values: [['1']] })
  t.strictSame((await ask()).rows, [{ ids: ['1'] }])
  t.strictSame(await migrate({ connectionString: url }), ['functions/unlocked_of.sql'])
  t.strictSame((await ask()).rows, [{ ids: [] }])
  t.strictSame((await pool.query(`select unlocked_of(in_message_ids => '{1}') as ids`)).rows, [{ ids: [] }])
})

/** What a later release leaves: a text of its own. */
async function applyLater(pool: pg.Pool): Promise<void> {
  await pool.query(`create or replace function watermark() returns bigint language sql as 'select 0::bigint'`)
  await pool.query(
    `update schema_functions set checksum = 'later', edition = edition + 1 where name = 'watermark.sql'`,
  )
}

t.test(
  'a release that starts after a later one leaves the later functions as they are, and names them',
  async (t) => {
    const { pool, url } = await database(t)
    const ours = await source(pool)
    await applyLater(pool)
    await pool.query(`update schema_functions set checksum = 'old' where name = 'abandon_attempts.sql'`)
    const later: string[] = []
    t.strictSame(
      await migrate({ connectionString: url }, null, (names) => later.push(...names)),
      ['functions/abandon_attempts.sql'],
      'the others are brought up to date',
    )
    t.strictSame(later, ['watermark.sql'])
    t.notSame(await source(pool), ours)

    // The way back on purpose.
    await pool.query('update schema_functions set edition = 0')
    t.strictSame(await migrate({ connectionString: url }), ['functions/watermark.sql'])
    t.strictSame(await source(pool), ours)
  },
)

t.test('a text that an edition has left as it was is its own all the same', async (t) => {
  const { pool, url } = await database(t)
  const editions = async () =>
    (await pool.query<{ edition: number }>('select distinct edition from schema_functions')).rows
  const before = await editions()
  t.equal(before.length, 1)
  await pool.query('update schema_functions set edition = 0')
  t.strictSame(await migrate({ connectionString: url }), [])
  t.strictSame(await editions(), before)
})

t.test('a database from before there were editions gets them, though a dump reads it', async (t) => {
  const { pool, url } = await database(t)
  await pool.query('alter table schema_functions drop column edition')
  t.strictSame(await migrate({ connectionString: url }), [])
  const dump = await pool.connect()
  await dump.query('begin')
  await dump.query('select from schema_functions')
  t.strictSame(await migrate({ connectionString: url }), [], 'the next start alters nothing')
  await dump.query('rollback')
  dump.release()
})

t.test('a function of a later release that this one does not have is left alone', async (t) => {
  const { pool, url } = await database(t)
  await pool.query(`insert into schema_functions (name, checksum) values ('tomorrow.sql', 'x')`)
  t.strictSame(await migrate({ connectionString: url }), [])
})

t.test('a migration that fails leaves nothing behind, and can be tried again', async (t) => {
  const { pool, url } = await database(t, { empty: true })
  // The migration comes to this name last of all, and finds it taken.
  await pool.query('create view stopped_partitions as select 1 as one')
  await t.rejects(migrate({ connectionString: url }), { message: /already exists/ })
  t.strictSame(await applied(pool), [])
  t.strictSame((await pool.query(`select to_regclass('message_events') as exists`)).rows, [{ exists: null }])
  await pool.query('drop view stopped_partitions')
  t.ok((await migrate({ connectionString: url })).length > 0)
})

t.test('functions that fail leave all functions as they were', async (t) => {
  const { pool, url } = await database(t)
  await pool.query(
    `update schema_functions set checksum = 'old' where name in ('abandon_attempts.sql', 'watermark.sql')`,
  )
  // A procedure cannot be replaced.
  await pool.query('drop function watermark()')
  await pool.query(`create procedure watermark() language sql as 'select 1'`)
  await t.rejects(migrate({ connectionString: url }), { code: '42809' })
  const { rows } = await pool.query(`select name from schema_functions where checksum = 'old' order by name`)
  t.strictSame(rows, [{ name: 'abandon_attempts.sql' }, { name: 'watermark.sql' }])
})

t.test(
  'a function whose edition before answers other columns takes its place, and those with other parameters stay',
  async (t) => {
    const { pool, url } = await database(t)
    const ours = await source(pool)
    await pool.query('drop function watermark()')
    await pool.query(`create function watermark(out text, out int) language sql as $$select 'a', 1$$`)
    await pool.query(`create function watermark(older int) returns int language sql as 'select older'`)
    await pool.query(`update schema_functions set checksum = 'old' where name = 'watermark.sql'`)
    t.strictSame(await migrate({ connectionString: url }), ['functions/watermark.sql'])
    t.match((await pool.query('select watermark(7) as older')).rows, [{ older: 7 }])
    await pool.query('drop function watermark(int)')
    t.strictSame(await source(pool), ours)
  },
)

t.test(
  'a migration is seen only with the functions that its release has in place of those it drops',
  async (t) => {
    const { pool, url } = await database(t)
    await pool.query(`delete from schema_migrations where name = '0002_failover.sql'`)
    await pool.query('drop table server_changes, stray_outcomes cascade')
    await pool.query(`update schema_functions set checksum = 'old' where name = 'look_lane.sql'`)
    // Holds up what comes after the migration.
    const operator = await pool.connect()
    await operator.query('begin')
    await operator.query('lock table schema_functions in share mode')
    await t.rejects(migrate({ connectionString: url }), { cause: { code: '55P03' } })
    const { rows } = await pool.query(
      `select to_regproc('look_lane')::text as look, to_regclass('server_changes')::text as table`,
    )
    t.strictSame(rows, [{ look: 'look_lane', table: null }])
    await operator.query('rollback')
    operator.release()
    t.ok((await migrate({ connectionString: url })).includes('0002_failover.sql'))
  },
)

t.test('a database that is not there rejects with what pg says', async (t) => {
  await t.rejects(migrate({ connectionString: 'postgresql://postgres@127.0.0.1:1/none' }), {
    code: 'ECONNREFUSED',
  })
})
