import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { endWithUs, type Lifeline } from './end-with-us.ts'
import { ask, isNotReady, type Access } from './postgres/ask.ts'
import { chooseUser, programEnvironment, type User } from './postgres/choose-user.ts'
import { findBinaries, type Binaries } from './postgres/find-binaries.ts'
import { findLive } from './postgres/find-live.ts'
import { prepareCluster, refuseOtherOwner } from './postgres/prepare-cluster.ts'
import { lastLine, signal, waitForEnd } from './postgres/process.ts'
import { serverSettings } from './postgres/server-settings.ts'
import { refuseTakenPort } from './refuse-taken-port.ts'

export interface PostgresOptions extends Access {
  /** The data is in the subfolder `postgres`, the log beside it in `postgres.log`. */
  dataDir: string
  /** Created if missing. */
  database: string
  /** Server settings that take precedence over the built-in ones. */
  settings?: Record<string, string>
  /** Binaries to use instead of those that npm installed. */
  binaries?: Binaries
  /** How the server is shut down when this process is gone. Without it the server goes on. */
  lifeline?: Lifeline
}

export interface RunningPostgres {
  url: string
  pid: number
  /** Whether the server was already running, left by a process that has ended. */
  adopted: boolean
  /** A fast shutdown: open sessions are ended, and everything is on disk when it resolves. */
  stop(): Promise<void>
}

/**
 * Starts the embedded PostgreSQL, or adopts the one that still runs in the folder. It has its own process
 * group and logs to a file, so that Ctrl-C does not reach it before this process.
 *
 * @throws an Error with one sentence, if the folder or the port cannot be used
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const dataDir = resolve(options.dataDir)
  const cluster = join(dataDir, 'postgres')
  await mkdir(dataDir, { recursive: true })
  const binaries = options.binaries ?? (await findBinaries())
  const user = await chooseUser(binaries, dataDir)
  await refuseOtherOwner(cluster, user)
  const live = await findLive(cluster, options)
  const pid = live ?? (await launch(cluster, binaries, user, options))
  if (options.lifeline !== undefined) endWithUs(pid, 'SIGINT', options.lifeline)
  await createDatabase(options)
  return { url: urlOf(options), pid, adopted: live !== undefined, stop: () => stop(pid) }
}

async function launch(
  cluster: string,
  binaries: Binaries,
  user: User,
  options: PostgresOptions,
): Promise<number> {
  await refuseTakenPort({
    port: options.port,
    part: 'PostgreSQL',
    program: binaries.postgres,
    remedy: 'stop that program, or set DATABASE_URL',
  })
  await prepareCluster(cluster, binaries, user, options)
  const settings = Object.entries({ ...serverSettings(options.port), ...options.settings })
  const [program, args] = user.command(binaries.postgres, [
    '-D',
    cluster,
    ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ])
  const logPath = `${cluster}.log`
  const log = await open(logPath, 'a', 0o600)
  const { size } = await log.stat()
  const child = spawn(program, args, {
    ...user.spawnAs,
    env: programEnvironment,
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  })
  await once(child, 'spawn')
  child.unref()
  await log.close()
  await waitUntilReady(child, options, async () => {
    const line = await lastLine(logPath, size)
    return `PostgreSQL ended while it started. The last line in ${logPath}: ${line}`
  })
  return child.pid ?? 0
}

/**
 * Waits without limit, because recovery after a crash may take long. Only the end of the process ends the
 * wait early.
 */
async function waitUntilReady(
  child: ChildProcess,
  access: Access,
  explain: () => Promise<string>,
): Promise<void> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(await explain())
    try {
      await ask(access, 'postgres', 'select 1')
      return
    } catch (error) {
      if (!isNotReady(error)) throw error
      await sleep(25)
    }
  }
}

async function createDatabase(options: PostgresOptions): Promise<void> {
  const found = await ask(options, 'postgres', 'select 1 from pg_database where datname = $1', [
    options.database,
  ])
  if (found.length === 0)
    await ask(options, 'postgres', `create database "${options.database.replaceAll('"', '""')}"`)
}

function urlOf({ port, user, password, database }: PostgresOptions): string {
  const [name, secret, path] = [user, password, database].map(encodeURIComponent)
  return `postgresql://${name}:${secret}@127.0.0.1:${port}/${path}`
}

async function stop(pid: number): Promise<void> {
  signal(pid, 'SIGINT')
  if (await waitForEnd(pid, 60_000)) return
  throw new Error(
    `PostgreSQL (process ${pid}) has been shutting down for 60 s. The next start will wait for it.`,
  )
}
