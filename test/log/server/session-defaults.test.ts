import pg, { type Pool } from 'pg'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { listAccesses } from '../../../src/log/read/list-accesses.ts'
import { listTransactions } from '../../../src/log/read/list-transactions.ts'
import { ping } from '../../../src/log/read/ping.ts'
import { readHead } from '../../../src/log/read/read-head.ts'
import { readPulse } from '../../../src/log/read/read-pulse.ts'
import { inspectGround } from '../../../src/log/server/inspect-ground.ts'
import { readClock } from '../../../src/log/server/read-clock.ts'
import { refuseStandby } from '../../../src/log/server/refuse-standby.ts'
import type { Claim } from '../../../src/log/write/to-claim.ts'
import type { Lease } from '../../../src/log/write/lease.ts'
import { look, type Look, type LookFrom } from '../../../src/log/write/look.ts'
import { recordAccesses } from '../../../src/log/write/record-accesses.ts'
import { migrate } from '../../../src/runtime/migrate.ts'
import { prepareSession } from '../../../src/runtime/prepare-session.ts'
import { createPool } from '../../../src/runtime/create-pool.ts'
import { verify } from '../../../src/verify/verify.ts'
import { database, type TestDatabase } from '../../support/database.ts'
import { startPgbouncer, withoutPgbouncer } from '../../support/pgbouncer.ts'
import { rebuildAll } from '../../support/rebuild.ts'
import { until } from '../../support/until.ts'
import { differing } from '../../verify/broken.ts'
import { accepted, History, unavailable, writeHistory } from '../../verify/history.ts'

const logger = pino({ level: 'silent' })

/** What a database or a role may have for its sessions. Our statements are right by themselves under any of these. */
const harmless: readonly (readonly [name: string, value: string])[] = [
  ['datestyle', 'SQL, DMY'],
  ['datestyle', 'German'],
  ['timezone', 'Asia/Kolkata'],
  ['timezone', 'Pacific/Apia'],
  ['intervalstyle', 'sql_standard'],
  ['bytea_output', 'escape'],
  ['extra_float_digits', '-15'],
  ['row_security', 'off'],
  ['jit', 'on'],
  ['jit_above_cost', '0'],
  ['plan_cache_mode', 'force_custom_plan'],
  ['enable_indexscan', 'off'],
  ['enable_seqscan', 'off'],
  ['enable_nestloop', 'off'],
  ['lock_timeout', '2s'],
  ['idle_in_transaction_session_timeout', '1s'],
  ['default_transaction_deferrable', 'on'],
  ['client_min_messages', 'error'],
  ['quote_all_identifiers', 'on'],
  ['xmloption', 'document'],
  ['backslash_quote', 'off'],
  ['join_collapse_limit', '1'],
  ['work_mem', '64kB'],
  ['min_parallel_table_scan_size', '0'],
  ['parallel_setup_cost', '0'],
  ['check_function_bodies', 'off'],
  ['track_activities', 'off'],
  ['session_replication_role', 'local'],
  ['plpgsql.extra_errors', 'all'],
  ['plpgsql.variable_conflict', 'use_column'],
]

/** Without these there is no working behind a pooler. */
const refused: readonly (readonly [name: string, value: string])[] = [
  ['search_path', 'other'],
  ['search_path', 'other, public'],
  ['default_transaction_isolation', 'serializable'],
  ['default_transaction_isolation', 'repeatable read'],
  ['exit_on_error', 'on'],
  ['gin_fuzzy_search_limit', '1'],
]

/** And these where a session is ours, because they are overridden. */
const overridden: readonly (readonly [name: string, value: string])[] = [
  ...refused,
  ['standard_conforming_strings', 'off'],
  ['client_encoding', 'LATIN1'],
  ['statement_timeout', '2s'],
  ['idle_session_timeout', '2s'],
  ['transform_null_equals', 'on'],
  ['array_nulls', 'off'],
  ['max_parallel_workers_per_gather', '4'],
]

/** A database whose sessions have a default, with tables named like ours where a search path could lead to. */
async function databaseWith(
  t: Test,
  defaults: readonly (readonly [name: string, value: string])[],
  { empty = false } = {},
): Promise<TestDatabase> {
  const given = await database(t, { empty })
  await given.pool.query('create schema other')
  await given.pool.query('create table other.message_states (other int)')
  for (const [name, value] of defaults) await setDefault(given.pool, given.url, name, value)
  return given
}

async function setDefault(pool: Pool, url: string, name: string, value: string): Promise<void> {
  // A search path is a list of names, and no text.
  const literal = name === 'search_path' ? value : `'${value}'`
  await pool.query(`alter database ${nameOf(url)} set ${name} = ${literal}`)
}

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1)
}

function poolOn(t: Test, url: string) {
  const pool = createPool({ connectionString: url }, logger, 4, refuseStandby)
  t.teardown(() => pool.end())
  return pool
}

let names = 0

/** Goes on with a history: every time that goes out to the service and comes back, and what reads the log. */
async function work(t: Test, pool: Pool, url: string, history: History): Promise<void> {
  const [claim] = await history.receive([`é\\${++names}`], { room: 1 })
  await history.deliver(claim!, unavailable)
  const before = await lookAs(pool, 0)
  t.match(before.lookFrom.failed, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  let retry: Claim | undefined
  await until('the retry to be due and found', async () => {
    retry = (await lookAs(pool, 1, { lookFrom: before.lookFrom })).claims[0]
    return retry !== undefined
  })
  t.equal(retry!.messageId, claim!.messageId)
  const reconnectedAt = await readClock(pool)
  const { leaseEndsInMs } = await lookAs(pool, 0, { lease: { ...lease, graceMs: 900_000, reconnectedAt } })
  t.ok(leaseEndsInMs! > 800_000, 'nobody is taken over from before the grace after an outage is over')
  await history.deliver(retry!, accepted, 'retry')

  const { rows } = await pool.query<{ level: string }>(
    "select current_setting('transaction_isolation') as level",
  )
  t.equal(rows[0]?.level, 'read committed')
  await Promise.all([readPulse(pool), readHead(pool), listTransactions(pool, 10)])
  t.same(await rebuildAll(pool), [])
  t.same(differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })), {})
}

const lease = { leaseMs: 600_000, graceMs: 0, reconnectedAt: '-infinity' }

function lookAs(pool: Pool, room: number, given: { lookFrom?: LookFrom; lease?: Lease } = {}): Promise<Look> {
  return look(pool, {
    lane: 'retry',
    actor: 'steady/retry',
    room: { all: room, slow: room },
    lease: given.lease ?? lease,
    lookFrom: given.lookFrom ?? {},
    withLeases: true,
  })
}

t.test('with any one of these for a default work goes on as without', async (t) => {
  const { url, pool } = await databaseWith(t, [])
  let own = pool
  const through = { query: (...asked: Parameters<Pool['query']>) => own.query(...asked) } as unknown as Pool
  const history = await History.begin(through)
  for (const [name, value] of [...harmless, ...overridden]) {
    await t.test(`${name} ${value}`, async (t) => {
      await pool.query(`alter database ${nameOf(url)} reset all`)
      await setDefault(pool, url, name, value)
      own = poolOn(t, url)
      await work(t, own, url, history)
    })
  }
})

t.test(
  'with all of them the schema is brought up, and every type of event written',
  { buffered: true },
  async (t) => {
    const { url, pool } = await databaseWith(t, [...harmless, ...overridden], { empty: true })
    t.ok((await migrate({ connectionString: url })).includes('0001_log.sql'))
    const own = poolOn(t, url)
    await work(t, own, url, await writeHistory(own))
    for (const [name, value] of overridden) {
      const { rows } = await own.query<{ now: string }>('select current_setting($1) as now', [name])
      t.not(rows[0]?.now, value, `${name} is not what the database has for a default`)
    }
    const { rows } = await pool.query(
      "select from pg_class where relnamespace = 'other'::regnamespace and relkind in ('r', 'p')",
    )
    t.equal(rows.length, 1, 'nothing of ours is where the search path led to')
  },
)

t.test('a gin_fuzzy_search_limit hides nobody who has read a payment', async (t) => {
  const { url, pool } = await databaseWith(t, [['gin_fuzzy_search_limit', '5']])
  const accesses = Array.from({ length: 20_000 }, (_, at) => ({
    kind: 'payload_read' as const,
    actor: 'irene',
    transactionIds: at % 100 === 0 ? ['read'] : [`other-${at}`],
  }))
  const own = poolOn(t, url)
  await recordAccesses(own, accesses)
  await pool.query('vacuum analyze accesses')
  const filter = { kinds: null, actor: null, transactionId: 'read' }
  t.equal((await listAccesses(own, filter, null, 1_000)).length, 200)
})

t.test('a database in Turkish, where I has another lower case, overrides no setting of ours', async (t) => {
  const { pool, url } = await database(t, { empty: true })
  const name = `${new URL(url).pathname.slice(1)}_tr`
  await pool.query(
    `create database ${name} template template0 encoding 'UTF8' locale_provider icu icu_locale 'tr-TR' lc_collate 'C' lc_ctype 'C'`,
  )
  await pool.query(`alter database ${name} set intervalstyle = 'sql_standard'`)
  const connection = new URL(url)
  connection.pathname = name
  const client = new pg.Client({ connectionString: connection.href })
  await client.connect()
  t.teardown(async () => {
    await client.end()
    await pool.query(`drop database ${name}`)
  })
  const { rows: letters } = await client.query(
    "select lower('I') as lower, current_setting('intervalstyle') as style",
  )
  t.strictSame(letters, [{ lower: 'ı', style: 'sql_standard' }])
  await prepareSession(client, null)
  const { rows } = await client.query("select current_setting('intervalstyle') as style")
  t.strictSame(rows, [{ style: 'postgres' }])
})

t.test('a database that is read-only by default is waited for, and told', async (t) => {
  const { url, pool } = await databaseWith(t, [['default_transaction_read_only', 'on']])
  const own = poolOn(t, url)
  await t.rejects(ping(own), { message: /^sessions are read-only \(default_transaction_read_only is on / })
  await pool.query(
    `begin read write; alter database ${nameOf(url)} reset default_transaction_read_only; commit`,
  )
  await ping(own)
})

t.test(
  'a session_replication_role that switches the trigger off is told by name, and nothing is stored',
  async (t) => {
    const { url, pool } = await databaseWith(t, [['session_replication_role', 'replica']])
    const own = poolOn(t, url)
    t.match(await inspectGround(own), [
      /^The trigger project .* session_replication_role is replica .*: set session_replication_role to origin\.$/,
    ])
    const history = await History.begin(own)
    await t.rejects(history.receive(['refused']), { message: /^what is appended to the log has no effect/ })
    await pool.query(`alter database ${nameOf(url)} reset session_replication_role`)
    t.strictSame(await inspectGround(poolOn(t, url)), [])
  },
)

t.test(
  'behind a pooler what no statement of ours can do without is asked for by name',
  { skip: withoutPgbouncer },
  async (t) => {
    const { url, pool } = await databaseWith(t, [
      ['statement_timeout', '20s'],
      ['max_parallel_workers_per_gather', '4'],
      ...harmless,
    ])
    const pooler = await startPgbouncer(t, url, null)
    const pooled = poolOn(t, pooler.url)
    await work(t, pooled, url, await writeHistory(pooled))
    for (const [name, value] of refused) {
      await setDefault(pool, url, name, value)
      // As RECONNECT on PgBouncer's console does: its sessions are from before.
      await pool.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()',
        [nameOf(url)],
      )
      const sentence = new RegExp(`^the connection pooler's sessions have ${name} ${value}: .*set ${name} = `)
      const own = poolOn(t, pooler.url)
      await until(`${name} ${value} to be refused`, async () => sentence.test(await faultOf(ping(own))))
      await pool.query(`alter database ${nameOf(url)} reset ${name}`)
    }
  },
)

async function faultOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: unknown) => (error as Error).message,
  )
}
