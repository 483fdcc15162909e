import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import pg from 'pg'
import t, { type Test } from 'tap'
import {
  startPostgres,
  type PostgresOptions,
  type RunningPostgres,
} from '../../src/embedded/start-postgres.ts'
import { isAlive, signal } from '../../src/embedded/postgres/process.ts'
import { findFreePort } from '../support/free-port.ts'
import { until } from '../support/until.ts'

const moduleUrl = new URL('../../src/embedded/start-postgres.ts', import.meta.url).href
const asRoot = process.getuid?.() === 0

/** A data folder that others can pass through, as .data is, or with `hidden` one below a folder for its owner alone. */
async function options(t: Test, { hidden = false } = {}): Promise<PostgresOptions> {
  const folder = await mkdtemp(join(tmpdir(), 'tqp-postgres-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, hidden ? 0o700 : 0o755)
  const port = await findFreePort()
  return {
    dataDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password: 'postgres',
    database: 'transactions',
  }
}

async function start(t: Test, server: PostgresOptions): Promise<RunningPostgres> {
  const running = await startPostgres(server)
  t.teardown(() => running.stop())
  return running
}

async function ask(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows.flatMap((row) => Object.values(row))
  } finally {
    await client.end()
  }
}

/** Starts the server from a process that is then killed as a service would be. */
async function startAndKillParent(server: PostgresOptions): Promise<number> {
  const code = `
    import { startPostgres } from ${JSON.stringify(moduleUrl)}
    const { pid } = await startPostgres(${JSON.stringify(server)})
    process.stdout.write(String(pid), () => process.kill(process.pid, 'SIGKILL'))`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [pid] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return Number(pid)
}

t.test('a first start', async (t) => {
  const server = await options(t)
  const { url, adopted } = await start(t, server)

  t.test('makes our database, reachable by password on 127.0.0.1 alone', async (t) => {
    t.notOk(adopted)
    t.equal(url, `postgresql://postgres:postgres@127.0.0.1:${server.port}/transactions`)
    t.same(await ask(url, `select current_setting('listen_addresses')`), ['127.0.0.1'])
    t.same(await ask(url, `select current_setting('unix_socket_directories')`), [''])
    await t.rejects(ask(url.replace(':postgres@', ':wrong@'), 'select 1'), { code: '28P01' })
  })

  t.test('leaves durability on', async (t) => {
    for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes'])
      t.same(await ask(url, `select current_setting('${setting}')`), ['on'], setting)
  })

  t.test('makes text UTF-8, sorted by code point on every machine alike', async (t) => {
    t.same(await ask(url, `select current_setting('server_encoding')`), ['UTF8'])
    const sorted = await ask(
      url,
      `select x from (values ('b'), ('B'), ('a'), ('é'), ('z')) as v (x) order by x`,
    )
    t.same(sorted, ['B', 'a', 'b', 'z', 'é'])
  })

  t.test('counts statements in pg_stat_statements', async (t) => {
    await ask(url, 'create extension pg_stat_statements')
    await ask(url, 'select 42 as counted')
    const calls = `select calls::int from pg_stat_statements where query = 'select $1 as counted'`
    t.same(await ask(url, calls), [1])
  })
})

t.test('a server outlives the SIGKILL of its service and is adopted by the next one', async (t) => {
  const server = await options(t)
  const pid = await startAndKillParent(server)
  const running = await start(t, server)
  t.same([running.pid, running.adopted], [pid, true])
  t.same(await ask(running.url, 'select 1'), [1])
})

t.test('a server with a lifeline is shut down with its service, also where that is killed', async (t) => {
  const server = { ...(await options(t)), lifeline: { graceSeconds: 0, ownerPath: null } }
  const pid = await startAndKillParent(server)
  t.teardown(() => signal(pid, 'SIGQUIT'))
  await until('the server to end', () => !isAlive(pid))
  t.match(await readFile(join(server.dataDir, 'postgres.log'), 'utf8'), /database system is shut down/)
})

t.test(
  'what was committed survives the SIGKILL of the server, whose stale lock is no obstacle',
  async (t) => {
    const server = await options(t)
    const first = await start(t, server)
    await ask(first.url, 'create table kept as select 7 as seven')
    process.kill(first.pid, 'SIGKILL')
    const second = await start(t, server)
    t.notOk(second.adopted)
    t.same(await ask(second.url, 'select seven from kept'), [7])
  },
)

t.test('a stale lock whose pid is another process by now is no obstacle', async (t) => {
  const server = await options(t)
  const first = await start(t, server)
  await first.stop()
  const lock = [
    process.pid,
    join(server.dataDir, 'postgres'),
    1,
    server.port,
    '',
    '127.0.0.1',
    '',
    'ready',
    '',
  ]
  await writeFile(join(server.dataDir, 'postgres', 'postmaster.pid'), lock.join('\n'))
  const second = await start(t, server)
  t.notOk(second.adopted)
})

t.test('stop ends open sessions and leaves no process and no lock', async (t) => {
  const server = await options(t)
  const running = await start(t, server)
  const client = new pg.Client({ connectionString: running.url })
  client.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => client.once('end', resolve))
  await client.connect()
  await running.stop()
  await ended
  t.notOk(isAlive(running.pid))
  await t.rejects(stat(join(server.dataDir, 'postgres', 'postmaster.pid')), { code: 'ENOENT' })
  t.match(await readFile(join(server.dataDir, 'postgres.log'), 'utf8'), /database system is shut down/)
})

t.test('the half of a cluster that a kill during initdb left is replaced', async (t) => {
  const server = await options(t)
  await mkdir(join(server.dataDir, 'postgres.new'), { recursive: true })
  await writeFile(join(server.dataDir, 'postgres.new', 'PG_VERSION'), '18\n')
  t.same(await ask((await start(t, server)).url, 'select 1'), [1])
})

t.test('a folder of another major version is one sentence that says what to do', async (t) => {
  const server = await options(t)
  const first = await start(t, server)
  await first.stop()
  await writeFile(join(server.dataDir, 'postgres', 'PG_VERSION'), '14\n')
  await t.rejects(startPostgres(server), {
    message: /^\S+ was made by PostgreSQL 14 and the embedded one is 18: [^\n]+$/,
  })
})

t.test('a folder that holds something else is one sentence, and is left as it is', async (t) => {
  const server = await options(t)
  const file = join(server.dataDir, 'postgres', 'letters.txt')
  await mkdir(join(server.dataDir, 'postgres'), { recursive: true })
  await writeFile(file, 'Dear Sir')
  await t.rejects(startPostgres(server), { message: /holds files that are not PostgreSQL data: [^\n]+$/ })
  t.equal(await readFile(file, 'utf8'), 'Dear Sir')
})

t.test('a taken port is one sentence that says what to do', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  await t.rejects(startPostgres({ ...(await options(t)), port }), {
    message: new RegExp(
      `Port ${port} of 127.0.0.1, which the embedded PostgreSQL needs, is taken by another program \\(process ${process.pid}, [^)\n]+\\): stop that program, or set DATABASE_URL$`,
    ),
  })
})

t.test(
  'a server that runs in the folder on another port, or with another password, is one sentence',
  async (t) => {
    const server = await options(t)
    const running = await start(t, server)
    await t.rejects(startPostgres({ ...server, port: server.port + 1 }), {
      message: new RegExp(
        `already runs in \\S+ on port ${server.port} instead of ${server.port + 1}: stop it with kill -INT ${running.pid}$`,
      ),
    })
    await t.rejects(startPostgres({ ...server, password: 'other' }), {
      message: /does not accept the embedded one's password: [^\n]+$/,
    })
  },
)

t.test('a setting that PostgreSQL does not take is one sentence in its own words', async (t) => {
  await t.rejects(startPostgres({ ...(await options(t)), settings: { shared_buffers: 'much' } }), {
    message: /ended while it started.*FATAL: +invalid value for parameter "shared_buffers"/,
  })
})

t.test('as root', { skip: asRoot ? false : 'needs root' }, async (t) => {
  t.test('the server runs as nobody where nobody reaches the data', async (t) => {
    const server = await options(t)
    await start(t, server)
    t.not((await stat(join(server.dataDir, 'postgres'))).uid, 0)
  })

  t.test(
    'the server runs in a user namespace where nobody does not, and the folder can move out again',
    async (t) => {
      const hidden = await options(t, { hidden: true })
      const first = await start(t, hidden)
      await ask(first.url, 'create table kept as select 7 as seven')
      t.equal((await stat(join(hidden.dataDir, 'postgres'))).uid, 0)
      await first.stop()
      const open = await options(t)
      await rename(hidden.dataDir, open.dataDir)
      const second = await start(t, open)
      t.same(await ask(second.url, 'select seven from kept'), [7])
      t.not((await stat(join(open.dataDir, 'postgres'))).uid, 0)
    },
  )

  t.test('a folder of another user is one sentence', async (t) => {
    const server = await options(t)
    await mkdir(join(server.dataDir, 'postgres'), { recursive: true })
    await chown(join(server.dataDir, 'postgres'), 12_345, 12_345)
    await t.rejects(startPostgres(server), { message: /belongs to user id 12345: [^\n]+$/ })
  })
})
