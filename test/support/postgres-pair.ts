import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Test } from 'tap'
import { isAlive, signal, waitForEnd } from '../../src/embedded/postgres/process.ts'
import { copyCluster } from './copy-cluster.ts'
import type { TestDatabase } from './database.ts'
import { startOwnPostgres, type OwnPostgres } from './own-postgres.ts'
import { startProxy } from './proxy.ts'
import { until } from './until.ts'

export interface PostgresPair extends TestDatabase {
  primary: OwnPostgres
  standby: OwnPostgres
  /** Both `url` and `pool` go through the switch: from now on they lead to this server, and what was open is cut. */
  switchTo(which: 'primary' | 'standby'): void
  /** The standby receives nothing from now on. Whatever it has received it keeps. */
  stopReplication(): Promise<void>
  /** How many bytes of WAL the primary has that the standby has not received. */
  lagBytes(): Promise<number>
  /** Every session is cut, nothing is written back, and the process is gone. */
  killPrimary(): Promise<void>
  /** Resolves once the standby takes writes, on a timeline of its own. */
  promote(): Promise<void>
  /** The standby stands still: it takes no connection and confirms no WAL. Whoever is connected hears nothing. */
  freezeStandby(): Promise<void>
  thawStandby(): void
}

/**
 * Two servers of the test's own, a primary and its streaming standby, with a switch before them that leads to the primary at
 * first: the one name under which a failover puts another server. They hold one empty database, and they end with the test.
 *
 * @param given with `synchronous` a commit waits until the standby has it on disk, unless the standby was promoted
 */
export async function startPostgresPair(
  t: Pick<Test, 'teardown'>,
  given: { synchronous?: boolean; settings?: Record<string, string> } = {},
): Promise<PostgresPair> {
  const settings = { ...given.settings, wal_keep_size: '1GB' }
  const primary = await startOwnPostgres(t, { settings })
  const standby = await startStandby(t, primary, settings)
  if (given.synchronous) await awaitStandby(primary)
  const proxy = await startProxy(t, { host: '127.0.0.1', port: primary.port })
  const url = new URL(primary.url)
  url.port = String(proxy.port)
  const pool = new pg.Pool({ connectionString: url.href })
  pool.on('error', () => undefined)
  t.teardown(() => pool.end())
  let frozen: number[] = []
  const thawStandby = () => {
    for (const pid of frozen) signal(pid, 'SIGCONT')
    frozen = []
  }
  // Of those who stand still only SIGKILL is heard.
  t.teardown(thawStandby)
  return {
    url: url.href,
    pool,
    primary,
    standby,
    switchTo: (which) => {
      const { port } = which === 'primary' ? primary : standby
      proxy.leadTo({ host: '127.0.0.1', port })
    },
    stopReplication: async () => {
      await standby.pool.query(`alter system set primary_conninfo = ''`)
      await standby.pool.query('select pg_reload_conf()')
      await until('the standby to receive nothing', () =>
        askOne<boolean>(standby, 'select not exists (select from pg_stat_wal_receiver) as answer'),
      )
    },
    lagBytes: async () => {
      const received = await askOne<string>(
        standby,
        'select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text as answer',
      )
      return askOne(primary, 'select pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::float8 as answer', [received])
    },
    killPrimary: async () => {
      primary.crash()
      await waitForEnd(primary.pid(), 60_000)
    },
    promote: async () => {
      await standby.pool.query('select pg_promote(true)')
      await until('the standby to take writes', () =>
        askOne<boolean>(standby, 'select not pg_is_in_recovery() as answer'),
      )
    },
    freezeStandby: async () => {
      const receiver = await findReceiver(standby)
      frozen = [standby.pid(), ...(receiver === null ? [] : [receiver])].filter(isAlive)
      for (const pid of frozen) signal(pid, 'SIGSTOP')
    },
    thawStandby,
  }
}

async function startStandby(
  t: Pick<Test, 'teardown'>,
  primary: OwnPostgres,
  settings: Record<string, string>,
): Promise<OwnPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tqp-standby-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const cluster = join(dataDir, 'postgres')
  await copyCluster(primary.pool, primary.cluster, cluster)
  await writeFile(join(cluster, 'standby.signal'), '')
  await appendFile(join(cluster, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo(primary)}'\n`)
  const standby = await startOwnPostgres(t, { dataDir, settings })
  await until('the standby to follow', async () => (await findReceiver(standby)) !== null)
  return standby
}

function conninfo({ url }: OwnPostgres): string {
  const { hostname, port, username, password } = new URL(url)
  return `host=${hostname} port=${port} user=${username} password=${password}`
}

/** On the primary only: the standby, once it is promoted, waits for nobody. */
async function awaitStandby(primary: OwnPostgres): Promise<void> {
  await primary.pool.query(`alter system set synchronous_standby_names = '*'`)
  await primary.pool.query('select pg_reload_conf()')
  await until('the standby to be synchronous', () =>
    askOne<boolean>(
      primary,
      `select exists (select from pg_stat_replication where sync_state = 'sync') as answer`,
    ),
  )
  // Commits wait only once the checkpointer has read the setting, which it does before its next checkpoint.
  await primary.pool.query('checkpoint')
}

/** The process that receives the primary's WAL, once it streams; null while there is none. */
async function findReceiver(standby: OwnPostgres): Promise<number | null> {
  return askOne(standby, `select max(pid) as answer from pg_stat_wal_receiver where status = 'streaming'`)
}

async function askOne<Answer>(
  { pool }: TestDatabase,
  statement: string,
  parameters: unknown[] = [],
): Promise<Answer> {
  const { rows } = await pool.query<{ answer: Answer }>(statement, parameters)
  return rows[0]!.answer
}
