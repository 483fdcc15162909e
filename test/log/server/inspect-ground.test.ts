import pg from 'pg'
import t from 'tap'
import { inspectGround } from '../../../src/log/server/inspect-ground.ts'
import { functionNames, migrate } from '../../../src/runtime/migrate.ts'
import { database } from '../../support/database.ts'
import { createRole } from '../../support/roles.ts'

const own = await database(t)
const { pool, url } = own

t.test(
  'a migrated database has all that the log rests on, for the owner and for the role of the service',
  async (t) => {
    t.strictSame(await inspectGround(pool), [])
    const role = await createRole(t, own)
    await migrate({ connectionString: url }, role.name)
    const service = new pg.Pool({ connectionString: role.url, max: 1 })
    t.teardown(() => service.end())
    t.strictSame(await inspectGround(service), [])
    await pool.query(`revoke select on records from ${role.name}`)
    await pool.query(`revoke execute on all functions in schema public from ${role.name}`)
    t.match(await inspectGround(service), [
      /^Not granted to this role: .*look_lane\(\).*records.*settle_attempts\(\)/,
    ])
  },
)

t.test('rows that row-level security may hide from the role of the service are a fault', async (t) => {
  const role = await createRole(t, own)
  const owner = await pool.connect()
  t.teardown(() => owner.release())
  const inspect = async (...sql: string[]): Promise<string[]> => {
    await owner.query('begin')
    await owner.query('select grant_access($1)', [role.name])
    // What a platform's event trigger does with each new table.
    await owner.query('alter table log_epochs enable row level security')
    for (const each of sql) await owner.query(each)
    await owner.query(`set local role ${role.name}`)
    const faults = await inspectGround(owner)
    await owner.query('rollback')
    return faults
  }
  const hidden = [
    'Row-level security hides rows from this role, which needs a policy for all rows, or bypassrls: log_epochs.',
  ]
  const all = `create policy everything on log_epochs for select to ${role.name} using (true)`
  t.strictSame(await inspect(), hidden)
  t.strictSame(await inspect(`alter role ${role.name} bypassrls`), [])
  t.strictSame(await inspect(all), [])
  t.strictSame(await inspect('create policy everything on log_epochs using (true)'), [])
  t.strictSame(await inspect('create policy part on log_epochs using (epoch > 1)'), hidden)
  t.strictSame(await inspect('create policy others on log_epochs to pg_monitor using (true)'), hidden)
  t.strictSame(
    await inspect(all, 'create policy fewer on log_epochs as restrictive using (epoch > 1)'),
    hidden,
  )
})

t.test('each thing that it lacks is named', async (t) => {
  const cases: [sql: string, ...faults: RegExp[]][] = [
    ['alter table message_events disable trigger project', /trigger project of message_events is off/],
    ['alter table message_events enable replica trigger project', /trigger project of message_events is off/],
    ['drop trigger project on message_events', /trigger project of message_events is gone/],
    ['set local session_replication_role = replica', /trigger project of message_events is off/],
    ['alter table inbox disable trigger all', /append_only is not on always.*: inbox\./],
    [
      'alter table records disable trigger all',
      /append_only is not on always.*: records\./,
      /expunge_only of records/,
    ],
    ['drop trigger expunge_only on records', /expunge_only of records is not on always/],
    ['alter table records_s1 disable trigger expunge_only', /expunge_only of records is not on always/],
    // As pg_restore --disable-triggers leaves it: on, but not where session_replication_role says otherwise.
    [
      'alter table records enable trigger all',
      /append_only is not on always.*: records\./,
      /expunge_only of records/,
    ],
    ['alter table inbox drop constraint inbox_pkey', /Without primary key: inbox\./],
    ['drop function claim', /Missing: claim\(\)\./],
    ['drop table failure_rollups', /Missing: failure_rollups\./],
    ['drop table records_s1', /Segments of the log are gone and were not archived: records_s1\./],
    [
      'alter table message_events detach partition message_events_s1',
      /Segments of the log are gone and were not archived: message_events_s1\./,
    ],
    ['set local synchronous_commit = off', /synchronous_commit is off for the role postgres/],
    ['drop view messages', /Missing: messages\./],
  ]
  for (const [sql, ...faults] of cases) {
    const client = await pool.connect()
    await client.query('begin')
    await client.query(sql)
    const found = await inspectGround(client)
    t.match(found, faults, sql)
    t.equal(found.length, faults.length, sql)
    await client.query('rollback')
    client.release()
  }
})

t.test('every table, view and function of ours is looked for', async (t) => {
  const client = await pool.connect()
  await client.query('begin')
  const { rows } = await client.query<{ name: string }>(
    `select relname::text as name from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')
        and not relispartition and relname not like 'schema\\_%'`,
  )
  const names = await functionNames()
  await client.query('drop schema public cascade; create schema public')
  const [gone, missing, ...others] = await inspectGround(client)
  await client.query('rollback')
  client.release()
  t.match(gone, /is gone/)
  t.strictSame(others, [])
  t.strictSame(
    missing?.slice('Missing: '.length, -1).split(', ').sort(),
    [...rows.map(({ name }) => name), ...names.map((name) => `${name}()`)].sort(),
  )
})
