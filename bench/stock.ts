import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { endWithUs } from '../src/embedded/end-with-us.ts'
import { chooseUser, programEnvironment } from '../src/embedded/postgres/choose-user.ts'
import { startApacheKafka } from '../test/support/apache-kafka.ts'
import { findFreePort } from '../test/support/free-port.ts'

export type Stock = {
  databaseUrl: string
  brokers: string
  postgresPid: number
  brokerPid: number
  /** Ends PostgreSQL as an administrator would in a hurry (SIGINT), and starts it on the same data. Its process is another one then. */
  restartPostgres: () => Promise<void>
  stop: () => Promise<void>
}

/** Where Debian's postgresql-15 has its programs, if none are named. */
const debianBinaries = '/usr/lib/postgresql/15/bin'
const run = promisify(execFile)

/**
 * A PostgreSQL and an Apache Kafka as users run them, on a new folder: of PostgreSQL's settings only the address is ours, so that jit,
 * shared_buffers and the checkpoints are its own; Kafka is one KRaft node with Java's own compilers and a heap of 1 GiB, as its start
 * script has it.
 *
 * @param binaries the folder of another PostgreSQL's programs
 * @throws a sentence where PostgreSQL, Java or Maven is missing
 */
export async function startStock(binaries = debianBinaries): Promise<Stock> {
  const teardowns: (() => unknown)[] = []
  const stop = async (): Promise<void> => {
    for (const teardown of teardowns.splice(0).reverse()) await teardown()
  }
  const t = { teardown: (handler: () => unknown) => void teardowns.push(handler) }
  try {
    const postgres = await startPostgres(t, binaries)
    const kafka = await startApacheKafka(t, { heapMegabytes: 1_024, javaFlags: [] })
    endWithUs(kafka.pid, 'SIGTERM')
    return {
      databaseUrl: postgres.url,
      brokers: kafka.brokers.join(','),
      postgresPid: postgres.pid,
      brokerPid: kafka.pid,
      restartPostgres: postgres.restart,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startPostgres(
  t: { teardown: (handler: () => unknown) => void },
  binaries: string,
): Promise<{ url: string; pid: number; restart: () => Promise<void> }> {
  const programs = { initdb: join(binaries, 'initdb'), postgres: join(binaries, 'postgres') }
  const folder = await mkdtemp(join(tmpdir(), 'tqp-stock-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  const user = await chooseUser(programs, folder).catch((cause: unknown) => {
    throw new Error(`There is no PostgreSQL in ${binaries} that can be run here.`, { cause })
  })
  const cluster = join(folder, 'data')
  await mkdir(cluster, { mode: 0o700 })
  await chown(cluster, user.owner.uid, user.owner.gid)
  const spawnOptions = { ...user.spawnAs, env: programEnvironment, cwd: '/' }
  await run(
    ...user.command(programs.initdb, ['-D', cluster, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8']),
    spawnOptions,
  )
  const port = await findFreePort()
  const address = ['-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=']
  const logPath = join(folder, 'postgres.log')
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`
  const launch = async (): Promise<ChildProcess> => {
    const log = await open(logPath, 'a')
    const server = spawn(...user.command(programs.postgres, ['-D', cluster, ...address]), {
      ...spawnOptions,
      stdio: ['ignore', log.fd, log.fd],
    })
    await log.close()
    if (server.pid !== undefined) endWithUs(server.pid, 'SIGINT')
    while (!(await answers(url))) {
      if (server.exitCode !== null) throw new Error(`PostgreSQL ended: ${await readFile(logPath, 'utf8')}`)
      await sleep(50)
    }
    return server
  }
  const end = async (server: ChildProcess): Promise<void> => {
    const ended = once(server, 'exit')
    server.kill('SIGINT')
    await ended
  }
  let server = await launch()
  t.teardown(() => end(server))
  return {
    url,
    pid: server.pid ?? 0,
    async restart() {
      await end(server)
      server = await launch()
    },
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}
