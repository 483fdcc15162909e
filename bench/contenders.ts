import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { endWithUs } from '../src/embedded/end-with-us.ts'
import { untilReady } from './line.ts'
import { end, environmentOf, hasEnded, startService, type Settings } from './parts.ts'

export type Contender = {
  name: string
  /** Resolves when it reads from Kafka. */
  start: (settings: Settings & { folder: string }, concurrent: number) => Promise<Running>
  /** How many records it still owes, as `value`; for a database of its own. */
  left: string
}

export type Running = {
  /** Throws the end of its log if it has ended by itself. */
  insistOnLife: () => Promise<void>
  /** Lets it finish what it holds. */
  stop: () => Promise<void>
}

const peersFolder = new URL('peers/', import.meta.url).pathname
// The flag of `npm start`; the peers get it too.
const nodeFlags = ['--max-semi-space-size=64']

export const contenders: readonly Contender[] = [
  {
    name: 'ours',
    start: startOurs,
    left: `select count(*) as value from message_states where status <> 'success'`,
  },
  {
    name: 'graphile-worker',
    start: (settings, concurrent) => startPeer('graphile-worker', settings, concurrent),
    left: 'select count(*) as value from graphile_worker._private_jobs',
  },
  {
    name: 'pg-boss',
    start: (settings, concurrent) => startPeer('pg-boss', settings, concurrent),
    left: `select count(*) as value from pgboss.job where name = 'deliver' and state <> 'completed'`,
  },
]

async function startOurs(settings: Settings & { folder: string }, concurrent: number): Promise<Running> {
  const service = await startService(settings, { MAX_CONCURRENT: String(concurrent) })
  await untilReady(service)
  return {
    insistOnLife: () => {
      service.insistOnLife()
      return Promise.resolve()
    },
    stop: service.stop,
  }
}

async function startPeer(
  name: string,
  settings: Settings & { folder: string },
  concurrent: number,
): Promise<Running> {
  if (!existsSync(join(peersFolder, 'node_modules')))
    throw new Error('The peers are a package of their own: npm ci --prefix bench/peers')
  const logPath = join(settings.folder, `${name}.log`)
  const log = await open(logPath, 'a')
  const child = spawn(process.execPath, [...nodeFlags, join(peersFolder, `${name}.js`)], {
    env: { ...environmentOf(settings), MAX_CONCURRENT: String(concurrent), NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', log.fd],
  })
  await log.close()
  if (child.pid !== undefined) endWithUs(child.pid, 'SIGTERM')
  if (child.stdout === null) throw new Error(`${name} has no output`)
  for await (const line of createInterface({ input: child.stdout })) if (line === 'ready') break
  child.stdout.resume()
  const insistOnLife = async (): Promise<void> => {
    if (hasEnded(child))
      throw new Error(`${name} has ended: ${(await readFile(logPath, 'utf8')).slice(-2_000)}`)
  }
  await insistOnLife()
  return { insistOnLife, stop: () => end(child) }
}
