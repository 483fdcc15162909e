import t from 'tap'
import pg from 'pg'
import { inspectLog } from '../../../src/log/server/inspect-log.ts'
import { inspectServer } from '../../../src/log/server/inspect-server.ts'
import { stopPartition } from '../../../src/log/write/stop-partition.ts'
import { migrate } from '../../../src/runtime/migrate.ts'
import { database } from '../../support/database.ts'
import { createRole } from '../../support/roles.ts'
import { openAttempt, accepted, fresh, newName, record, settleOne, store, topic } from '../support.ts'

const own = await database(t)
const { pool, url } = own
const role = await createRole(t, own)
await migrate({ connectionString: url }, role.name)
const service = new pg.Pool({ connectionString: role.url, max: 1 })
t.teardown(() => service.end())

const denied = { code: '42501' }

async function names(sql: string): Promise<string[]> {
  return (await pool.query<{ name: string }>(sql)).rows.map((row) => row.name)
}

const tables = await names(
  `select oid::regclass::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
)
const inside = await names(
  `select oid::regprocedure::text as name from pg_proc
   where pronamespace = 'public'::regnamespace and provolatile = 'v' and not prosecdef and prorettype <> 'trigger'::regtype`,
)

// After the last await outside of a test: tap takes a file for ended once this is done and no test has begun.
t.before(async () => {
  await store(pool, [record(0, newName())])
  await stopPartition(
    pool,
    { topic, partition: 1, incarnation: 1, next: 0n, reason: 'because', resume: null },
    'ingest-1',
  )
})

t.test('the service reads every table and view, and changes none by itself', async (t) => {
  t.ok(tables.includes('message_events') && tables.includes('schema_migrations'))
  for (const view of ['messages', 'stopped_partitions'])
    await t.resolves(service.query(`select * from ${view}`), view)
  for (const table of tables) {
    await t.resolves(service.query(`select * from ${table}`), table)
    const [column] = await names(
      `select attname as name from pg_attribute where attrelid = '${table}'::regclass order by attnum desc limit 1`,
    )
    await t.rejects(service.query(`insert into ${table} default values`), denied, table)
    await t.rejects(service.query(`update ${table} set ${column} = ${column}`), denied, table)
    await t.rejects(service.query(`delete from ${table} where false`), denied, table)
    await t.rejects(service.query(`truncate ${table}`), denied, table)
    await t.rejects(service.query(`select from ${table} for update`), denied, table)
    await t.rejects(service.query(`alter table ${table} disable trigger all`), denied, table)
    await t.rejects(service.query(`drop table ${table}`), denied, table)
  }
})

t.test('nor does it use a sequence, switch triggers off, or put anything into the schema', async (t) => {
  await t.rejects(service.query(`select nextval('message_ids')`), denied)
  await t.rejects(service.query(`select setval('message_ids', 1)`), denied)
  await t.rejects(service.query(`set session_replication_role = replica`), denied)
  await t.rejects(service.query(`create table mine ()`), denied)
  await t.rejects(
    service.query(`create function lease_ends_at(timestamptz, timestamptz, int) returns timestamptz
      language sql as 'select null::timestamptz'`),
    denied,
  )
})

t.test('what is inside the write functions cannot be called from outside', async (t) => {
  t.ok(inside.includes('begin_epoch(text,text)') && inside.includes('fold_partitions()'), inside.join(' '))
  for (const signature of inside) {
    const [name = '', types = ''] = signature.split(/[()]/)
    const nulls = types
      .split(',')
      .filter(Boolean)
      .map((type) => `null::${type}`)
    await t.rejects(service.query(`select ${name}(${nulls.join(', ')})`), denied, signature)
  }
})

t.test(
  'whatever runs as the owner has a fixed search path, so that no temporary table is mistaken for the log',
  async (t) => {
    t.strictSame(
      await names(
        `select oid::regprocedure::text as name from pg_proc where pronamespace = 'public'::regnamespace and prosecdef
       and not coalesce('search_path=public, pg_temp' = any (proconfig), false)`,
      ),
      [],
    )
    await service.query('create temporary table message_states (like message_states)')
    await service.query('create temporary table message_events (like message_events)')
    await service.query('set search_path = pg_temp, public')
    const messageId = await openAttempt(service)
    t.equal(await settleOne(service, fresh, messageId, 1, accepted), 'appended')
    await service.query('set search_path = public')
    await service.query('drop table pg_temp.message_states, pg_temp.message_events')
    const { rows } = await pool.query('select status from messages where message_id = $1', [messageId])
    t.strictSame(rows, [{ status: 'success' }])
  },
)

t.test('others have no part in it: PUBLIC neither reads nor executes what is ours', async (t) => {
  const other = await createRole(t, own, 'other')
  t.strictSame(
    await names(
      `select oid::regprocedure::text as name from pg_proc
       where pronamespace = 'public'::regnamespace and has_function_privilege('${other.name}', oid, 'execute')
       union all
       select oid::regclass::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')
         and has_table_privilege('${other.name}', oid, 'select, insert, update, delete, truncate, references, trigger')`,
    ),
    [],
  )
})

t.test(
  'a start grants what a release brought, takes what was granted beside it, and leaves other services alone',
  async (t) => {
    const second = await createRole(t, own, 'second')
    const tomorrow = await createRole(t, own, 'tomorrow')
    await migrate({ connectionString: url }, second.name)
    await pool.query(`create function append_more() returns void language sql security definer set search_path = public, pg_temp
    as 'select null'`)
    await pool.query(`create function inner_part() returns void language sql as 'select null'`)
    await pool.query('create table more ()')
    await pool.query(`grant insert, update (actor) on message_events to ${role.name}`)
    await pool.query(`grant create on schema public to ${role.name}`)
    t.teardown(() => pool.query('drop table more; drop function append_more(); drop function inner_part()'))
    await t.resolves(service.query('select inner_part()'), 'PUBLIC may execute what is new')

    await migrate({ connectionString: url }, role.name)
    const may = async ({ name }: { name: string }): Promise<unknown> => {
      const { rows } = await pool.query(
        `select has_function_privilege($1, 'append_more()', 'execute') as appends,
         has_function_privilege($1, 'inner_part()', 'execute') as inner,
         has_function_privilege($1, 'status_counts()', 'execute') as counts,
         has_table_privilege($1, 'more', 'select') as reads,
         has_table_privilege($1, 'message_events', 'insert')
           or has_any_column_privilege($1, 'message_events', 'update') as forges,
         has_schema_privilege($1, 'public', 'create') as creates`,
        [name],
      )
      return rows[0]
    }
    const nothing = {
      appends: false,
      inner: false,
      counts: false,
      reads: false,
      forges: false,
      creates: false,
    }
    t.strictSame(await may(role), { ...nothing, appends: true, counts: true, reads: true })
    t.strictSame(await may(second), { ...nothing, counts: true }, 'until it starts again')
    t.strictSame(await may(tomorrow), nothing)

    // A release that names a parameter otherwise: the function has to be dropped and created.
    await pool.query('drop function unlocked_of')
    await pool.query(`create function unlocked_of(message_ids bigint[]) returns bigint[] language sql
      security definer set search_path = public, pg_temp as 'select message_ids'`)
    await pool.query(`grant execute on function unlocked_of to ${second.name}`)
    await pool.query(`update schema_functions set checksum = 'old' where name = 'unlocked_of.sql'`)
    await migrate({ connectionString: url }, role.name)
    const { rows } = await pool.query(
      `select proargnames as names, has_function_privilege($1, oid, 'execute') as may,
        has_function_privilege($2, oid, 'execute') as other from pg_proc where proname = 'unlocked_of'`,
      [second.name, tomorrow.name],
    )
    t.strictSame(rows, [{ names: ['in_message_ids'], may: true, other: false }])
  },
)

t.test(
  'a log that its role can change otherwise than by appending is told from one that it cannot',
  async (t) => {
    t.match(await inspectLog(service), { mayForge: false, rewoundBy: null })
    t.match(await inspectLog(pool), { mayForge: true, rewoundBy: null })
    const member = await createRole(t, own, 'member')
    await pool.query(`grant pg_write_all_data to ${member.name}`)
    const database = new pg.Pool({ connectionString: member.url, max: 1 })
    t.teardown(() => database.end())
    await migrate({ connectionString: url }, member.name)
    t.match(await inspectLog(database), { mayForge: true })
  },
)

t.test('where one role does both it loses nothing', async (t) => {
  const owned = await database(t, { empty: true })
  const owner = await createRole(t, owned, 'owner')
  await owned.pool.query(`grant ${owner.name} to current_user`)
  await owned.pool.query(`alter database ${new URL(owned.url).pathname.slice(1)} owner to ${owner.name}`)
  for (let starts = 0; starts < 2; starts++) await migrate({ connectionString: owner.url }, owner.name)
  const both = new pg.Pool({ connectionString: owner.url, max: 1 })
  t.teardown(() => both.end())
  const messageId = await openAttempt(both)
  t.equal(await settleOne(both, fresh, messageId, 1, accepted), 'appended')
  t.match(await inspectLog(both), { mayForge: true })
})

t.test(
  'a role that its login takes over, and that is not told of its own sessions, is warned of',
  async (t) => {
    t.strictSame((await inspectServer(service)).warnings, [])
    const login = await createRole(t, own, 'login')
    await pool.query(`grant ${role.name} to ${login.name}`)
    // As a vault does for each password that it hands out.
    await pool.query(`alter role ${login.name} set role = ${role.name}`)
    const taken = new pg.Pool({ connectionString: login.url, max: 1 })
    t.teardown(() => taken.end())
    t.match((await inspectServer(taken)).warnings, [
      new RegExp(`^sessions log in as ${login.name} and .* grant pg_read_all_stats to ${role.name}$`),
    ])
    await pool.query(`grant pg_read_all_stats to ${role.name}`)
    t.strictSame((await inspectServer(taken)).warnings, [])
  },
)
