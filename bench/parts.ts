import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { ulid } from 'ulid'
import { endWithUs } from '../src/embedded/end-with-us.ts'
import { startPostgres } from '../src/embedded/start-postgres.ts'
import { startStock } from './stock.ts'

export type Parts = {
  /** The run's own database, which ends with it. */
  databaseUrl: string
  /** One or more, separated by commas. */
  brokers: string
  /** The run's own, which ends with it. */
  topic: string
  groupId: string
  downstreamUrl: string
  /** 0 of a server that is not ours: what it costs is not known. */
  postgresPid: number
  brokerPid: number
  processorPid: number
  /** What the servers are, for the table. */
  description: string
  folder: string
  /** What the processor keeps, if it was asked to. */
  ledgerPath: string
  /** Ends the processor and starts another one with these flags of `npm run mock`, on the same port and with the same ledger. */
  replaceProcessor: (flags: readonly string[]) => Promise<void>
  stop: () => Promise<void>
}

/** Which servers are measured; the embedded ones where none are named. */
export type Named = {
  /** Of a server on which databases may be created. */
  databaseUrl?: string | undefined
  brokers?: string | undefined
  /** Starts a PostgreSQL and an Apache Kafka as users run them. */
  stock?: boolean
  /** Of `stock`: the folder of PostgreSQL's programs. */
  postgresBinaries?: string | undefined
}

/** The flags of a command that measures on servers by name, for its options and its usage. */
export const namedOptions = {
  'database-url': { type: 'string' },
  brokers: { type: 'string' },
  stock: { type: 'boolean', default: false },
  'postgres-bin': { type: 'string' },
} as const

export const namedUsage = `  --database-url U  a PostgreSQL server to measure on: a database of the run's own is created there, and dropped afterwards
  --brokers B,…     a Kafka to measure on: topics of the run's own are created there, and deleted afterwards
  --stock           starts both as users run them: Debian's postgresql-15 with its own settings, and Apache Kafka 4.1
  --postgres-bin D  with --stock: the folder of another PostgreSQL's programs`

export interface NamedFlags {
  'database-url'?: string | undefined
  brokers?: string | undefined
  stock: boolean
  'postgres-bin'?: string | undefined
}

/** Throws a sentence where they contradict each other. */
export function readNamed(flags: NamedFlags): Named {
  const named = {
    databaseUrl: flags['database-url'],
    brokers: flags.brokers,
    stock: flags.stock,
    postgresBinaries: flags['postgres-bin'],
  }
  if (named.stock && (named.databaseUrl ?? named.brokers) !== undefined)
    throw new Error('--stock starts both servers itself: leave out --database-url and --brokers.')
  if (!named.stock && named.postgresBinaries !== undefined)
    throw new Error('--postgres-bin goes with --stock.')
  return named
}

/** PostgreSQL alone, on a new folder. */
export async function startDatabase() {
  const folder = await mkdtemp(join(tmpdir(), 'tqp-bench-'))
  const postgres = await startPostgres({
    dataDir: folder,
    port: await freePort(),
    user: 'postgres',
    password: 'postgres',
    database: 'transactions',
    lifeline: { graceSeconds: 0, ownerPath: null },
  })
  return {
    url: postgres.url,
    pid: postgres.pid,
    folder,
    async stop() {
      await postgres.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Where PostgreSQL and Kafka are, for as long as the run takes. */
export type Servers = {
  /** Of a database on the server from which others may be created. */
  databaseUrl: string
  brokers: string
  postgresPid: number
  brokerPid: number
  description: string
  /** Null of a server that is not ours to restart. */
  restartPostgres: (() => Promise<void>) | null
  stop: () => Promise<void>
}

/** What the run has made on servers and has not undone yet, the latest last. */
const made = new Set<() => Promise<void>>()
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => {
    void undoAll().finally(() => process.exit(code))
  })
}

/** Has it undone when the run is interrupted, and at most once. */
function undoOnce(undo: () => Promise<void>): () => Promise<void> {
  const once = async (): Promise<void> => {
    if (made.delete(once)) await undo()
  }
  made.add(once)
  return once
}

async function undoAll(): Promise<void> {
  for (const undo of [...made].reverse())
    await undo().catch((error: unknown) => process.stderr.write(`left behind: ${String(error)}\n`))
}

/** The servers that are named, and the embedded ones for those that are not. Each of ours is a process of its own, on a new folder. */
export async function startServers({
  databaseUrl,
  brokers,
  stock,
  postgresBinaries,
}: Named = {}): Promise<Servers> {
  const stops: (() => Promise<unknown>)[] = []
  const stop = undoOnce(async () => {
    for (const each of stops.splice(0).reverse()) await each()
  })
  try {
    if (stock === true) {
      const both = await startStock(postgresBinaries)
      stops.push(both.stop)
      return {
        ...both,
        stop,
        description: await describe(both.databaseUrl, 'stock', 'Apache Kafka 4.1.1, stock'),
      }
    }
    const postgres = databaseUrl === undefined ? await startDatabase() : null
    if (postgres !== null) stops.push(() => postgres.stop())
    const broker = brokers === undefined ? await startBroker() : null
    if (broker !== null) stops.push(() => broker.stop())
    const url = databaseUrl ?? postgres?.url ?? ''
    return {
      databaseUrl: url,
      brokers: brokers ?? broker?.brokers ?? '',
      postgresPid: postgres?.pid ?? 0,
      brokerPid: broker?.pid ?? 0,
      description: await describe(
        url,
        postgres === null ? 'as named' : 'embedded',
        broker === null ? 'Kafka as named' : 'embedded broker',
      ),
      restartPostgres: null,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A database, a topic and a group of the run's own on the servers, and a lean processor. */
export async function startParts(named: Named = {}): Promise<Parts> {
  return startPartsOn(await startServers(named))
}

/**
 * The same on servers that are there. They end with it.
 *
 * @param partitions how many the topic has
 * @param latencyMs of the processor; null for a lean one, which answers at once
 * @param processor the flags of `npm run mock`, in place of both
 * @param keepsLedger whether that processor keeps a ledger
 */
export async function startPartsOn(
  servers: Servers,
  {
    partitions = 3,
    latencyMs = null,
    processor: flags,
    keepsLedger = false,
  }: {
    partitions?: number
    latencyMs?: number | null
    processor?: readonly string[]
    keepsLedger?: boolean
  } = {},
): Promise<Parts> {
  try {
    const folder = await mkdtemp(join(tmpdir(), 'tqp-bench-'))
    const database = await createDatabase(servers.databaseUrl)
    const topic = await createTopic(servers.brokers, partitions)
    const ledgerPath = join(folder, 'ledger.jsonl')
    const kept = keepsLedger ? ['--ledger', ledgerPath] : []
    let processor = await (flags !== undefined
      ? startMock([...flags, ...kept])
      : latencyMs === null
        ? startProcessor()
        : startMock(['--success', '1', '--latency', String(latencyMs)]))
    const { port } = new URL(processor.url)
    return {
      ...servers,
      databaseUrl: database.url,
      topic: topic.name,
      groupId: topic.name,
      downstreamUrl: processor.url,
      processorPid: processor.pid,
      folder,
      ledgerPath,
      async replaceProcessor(others) {
        await processor.stop()
        processor = await startMock(['--port', port, ...others, ...kept])
      },
      async stop() {
        await processor.stop()
        await topic.remove()
        await database.drop()
        await servers.stop()
        await rm(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await servers.stop()
    throw error
  }
}

/** `arrivals`: GET /arrivals tells when each key came first. */
export async function startProcessor(arrivals = false) {
  const flags = ['--lean', '--port', '0', ...(arrivals ? ['--arrivals'] : [])]
  const { child, port } = await startListening('mock', flags)
  return {
    url: `http://127.0.0.1:${port}/process`,
    pid: child.pid ?? 0,
    arrivalsUrl: `http://127.0.0.1:${port}/arrivals`,
    stop: () => end(child),
  }
}

async function startMock(flags: readonly string[]) {
  const { child, port } = await startListening('mock', ['--port', '0', ...flags])
  return { url: `http://127.0.0.1:${port}/process`, pid: child.pid ?? 0, stop: () => end(child) }
}

/** A database of its own on the server. */
export async function createDatabase(serverUrl: string): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `tqp_bench_${ulid().toLowerCase()}`
  const administer = async (statement: string): Promise<void> => {
    const client = new pg.Client({ connectionString: serverUrl })
    await client.connect()
    try {
      await client.query(statement)
    } finally {
      await client.end()
    }
  }
  await administer(`create database ${name} template template0 encoding 'UTF8'`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { url: url.href, drop: undoOnce(() => administer(`drop database if exists ${name} with (force)`)) }
}

/** A topic of its own. */
export async function createTopic(
  brokers: string,
  partitions = 3,
): Promise<{ name: string; remove: () => Promise<void> }> {
  const name = `tqp.bench.${ulid().toLowerCase()}`
  const admin = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: name, numPartitions: partitions, replicationFactor: 1 }] })
  return {
    name,
    remove: undoOnce(async () => {
      await admin.deleteTopics({ topics: [name] })
      await admin.disconnect()
    }),
  }
}

async function startBroker() {
  const folder = await mkdtemp(join(tmpdir(), 'tqp-bench-'))
  const { child, port } = await startListening('broker', ['--data', join(folder, 'broker'), '--port', '0'])
  return {
    brokers: `127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    async stop() {
      await end(child)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function describe(url: string, how: string, kafka: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ version: string; jit: string }>(
      `select current_setting('server_version') as version, current_setting('jit') as jit`,
    )
    return `PostgreSQL ${rows[0]?.version ?? '?'} ${how}, jit ${rows[0]?.jit ?? '?'}; ${kafka}`
  } finally {
    await client.end()
  }
}

export type RunningService = {
  url: string
  pid: number
  /** Throws the end of its log if it has ended by itself. */
  insistOnLife(): void
  /** As `kill -9`. */
  kill: () => Promise<void>
  stop: () => Promise<void>
}

/** What the service, or a peer of it, is told of its parts. */
export type Settings = Pick<Parts, 'databaseUrl' | 'brokers' | 'topic' | 'groupId' | 'downstreamUrl'>

export function environmentOf(parts: Settings): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: parts.databaseUrl,
    KAFKA_BROKER: parts.brokers,
    KAFKA_TOPIC: parts.topic,
    KAFKA_GROUP_ID: parts.groupId,
    DOWNSTREAM_URL: parts.downstreamUrl,
  }
}

/** The service as it ships: built, with its own logger, on these parts. Its log goes to a file, as a container's would. */
export async function startService(
  parts: Settings & { folder: string },
  settings: Record<string, string>,
): Promise<RunningService> {
  const port = await freePort()
  const logPath = join(parts.folder, 'service.log')
  const log = await open(logPath, 'a')
  // The flags of `npm start`.
  const flags = ['--enable-source-maps', '--max-semi-space-size=64']
  const child = spawn(process.execPath, [...flags, script('main')], {
    env: { ...environmentOf(parts), PORT: String(port), ...settings },
    stdio: ['ignore', log.fd, log.fd],
  })
  await log.close()
  if (child.pid !== undefined) endWithUs(child.pid, 'SIGTERM')
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    insistOnLife() {
      if (hasEnded(child))
        throw new Error(`the service has ended: ${readFileSync(logPath, 'utf8').slice(-2_000)}`)
    },
    kill: () => end(child, 'SIGKILL'),
    stop: () => end(child),
  }
}

function script(name: string): string {
  return fileURLToPath(new URL(`../dist/${name}.js`, import.meta.url))
}

async function startListening(name: string, args: string[]): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [script(`embedded/${name}`), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (child.pid !== undefined) endWithUs(child.pid, 'SIGTERM')
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /^listening on .*:(\d+)$/.exec(line)
    if (found === null) continue
    child.stdout.resume()
    return { child, port: Number(found[1]) }
  }
  throw new Error(`${name} ended before it listened`)
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

export async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (hasEnded(child)) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
