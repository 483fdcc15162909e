import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Test } from 'tap'
import { waitForEnd } from '../../src/embedded/postgres/process.ts'
import { findFreePort } from './free-port.ts'
import { isExecutable } from './is-executable.ts'
import { until } from './until.ts'

const program = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'].find(isExecutable)

/** Why a test that needs PgBouncer is left out; false where it is installed. Goes to tap's `skip`. */
export const withoutPgbouncer = program === undefined && 'PgBouncer is not installed (Debian: pgbouncer)'

export interface Pgbouncer {
  /** The database through it. */
  url: string
  kill(): Promise<void>
  /** It keeps its connections, and answers nothing. */
  freeze(): void
  thaw(): void
  restart(): Promise<void>
}

/**
 * A real PgBouncer in transaction mode before a database. Four sessions serve all clients, so that hardly two statements in a row
 * of one client meet the same session.
 *
 * @param connectQuery what it tells each of its sessions first
 */
export async function startPgbouncer(
  t: Pick<Test, 'teardown'>,
  databaseUrl: string,
  connectQuery: string | null,
): Promise<Pgbouncer> {
  const folder = await mkdtemp(join(tmpdir(), 'tqp-pgbouncer-'))
  await chmod(folder, 0o755)
  const port = await findFreePort()
  const { hostname, port: target, pathname, username, password } = new URL(databaseUrl)
  const name = pathname.slice(1)
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: 'transaction',
    default_pool_size: 4,
    max_client_conn: 200,
    // Sessions in turn instead of the same one again.
    server_round_robin: 1,
  }
  const entry = [
    `host=${hostname} port=${target} dbname=${name} user=${username} password=${password}`,
    ...(connectQuery === null ? [] : [`connect_query='${connectQuery.replaceAll("'", "''")}'`]),
  ]
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}`)
  const file = join(folder, 'pgbouncer.ini')
  await writeFile(file, `[databases]\n${name} = ${entry.join(' ')}\n\n[pgbouncer]\n${lines.join('\n')}\n`, {
    mode: 0o644,
  })
  let pooler = await run(file)
  t.teardown(async () => {
    await pooler.kill()
    await rm(folder, { recursive: true, force: true })
  })
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String(port)
  await answers(url.href)
  return {
    url: url.href,
    kill: () => pooler.kill(),
    freeze: () => pooler.signal('SIGSTOP'),
    thaw: () => pooler.signal('SIGCONT'),
    restart: async () => {
      pooler = await run(file)
      await answers(url.href)
    },
  }
}

async function run(file: string): Promise<{ kill(): Promise<void>; signal(signal: NodeJS.Signals): void }> {
  // It refuses to run as root.
  const isRoot = process.getuid?.() === 0
  const child = spawn(program ?? 'pgbouncer', [...(isRoot ? ['-u', 'nobody'] : []), '-q', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await once(child, 'spawn')
  const pid = child.pid ?? 0
  return {
    signal: (signal) => void child.kill(signal),
    kill: async () => {
      child.kill('SIGKILL')
      await waitForEnd(pid, 10_000)
    },
  }
}

async function answers(url: string): Promise<void> {
  await until('PgBouncer to answer', async () => {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.query('select 1')
      return true
    } finally {
      await client.end().catch(() => undefined)
    }
  })
}
