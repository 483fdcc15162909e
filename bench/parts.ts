import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '../src/embedded/postgres.ts'

export type Parts = {
  databaseUrl: string
  broker: string
  downstreamUrl: string
  postgresPid: number
  brokerPid: number
  processorPid: number
  folder: string
  stop(): Promise<void>
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

/** PostgreSQL, the development broker and a lean processor, each a process of its own, on a new folder. */
export async function startParts(): Promise<Parts> {
  const postgres = await startDatabase()
  const { folder } = postgres
  const broker = await startListening('broker', ['--data', join(folder, 'broker'), '--port', '0'])
  const processor = await startListening('mock', ['--lean', '--port', '0'])
  return {
    databaseUrl: postgres.url,
    broker: `127.0.0.1:${broker.port}`,
    downstreamUrl: `http://127.0.0.1:${processor.port}/process`,
    postgresPid: postgres.pid,
    brokerPid: broker.child.pid ?? 0,
    processorPid: processor.child.pid ?? 0,
    folder,
    async stop() {
      await Promise.all([end(broker.child), end(processor.child)])
      await postgres.stop()
    },
  }
}

export type RunningService = {
  url: string
  pid: number
  /** Throws the end of its log if it has ended by itself. */
  insistOnLife(): void
  stop(): Promise<void>
}

/** The service as it ships: built, with its own logger, on these parts. Its log goes to a file, as a container's would. */
export async function startService(parts: Parts, settings: Record<string, string>): Promise<RunningService> {
  const port = await freePort()
  const logPath = join(parts.folder, 'service.log')
  const log = await open(logPath, 'a')
  // The flags of `npm start`.
  const flags = ['--enable-source-maps', '--max-semi-space-size=64']
  const child = spawn(process.execPath, [...flags, script('main')], {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: parts.databaseUrl,
      KAFKA_BROKER: parts.broker,
      DOWNSTREAM_URL: parts.downstreamUrl,
      PORT: String(port),
      ...settings,
    },
    stdio: ['ignore', log.fd, log.fd],
  })
  await log.close()
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    insistOnLife() {
      if (hasEnded(child))
        throw new Error(`the service has ended: ${readFileSync(logPath, 'utf8').slice(-2_000)}`)
    },
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
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /^listening on .*:(\d+)$/.exec(line)
    if (found === null) continue
    child.stdout.resume()
    return { child, port: Number(found[1]) }
  }
  throw new Error(`${name} ended before it listened`)
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
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
