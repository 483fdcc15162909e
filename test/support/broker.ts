import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { endProcess } from './end-process.ts'
import { program } from './program.ts'

/** The part of tap's test that a helper needs. */
interface Teardown {
  teardown: (handler: () => unknown) => unknown
}

export interface TestBroker {
  readonly brokers: string[]
  readonly port: number
  readonly pid: number
  readonly dataDir: string
  /** What the present process has written to its standard error. */
  readonly errors: string
  /** Sends the signal; after one that ends the process, waits for its end and gives the exit code. */
  kill: (signal: NodeJS.Signals) => Promise<number | null>
  /** Ends the process if it still runs, by SIGKILL, and starts another on the same data and port. */
  restart: () => Promise<void>
}

interface Running {
  child: ChildProcess
  port: number
  errors: string[]
}

const endingSignals: ReadonlySet<NodeJS.Signals> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT'])

/** Starts the real embedded broker as a process of its own, on a free port, and ends it with the test. */
export async function startBroker(t: Teardown, options: { dataDir?: string } = {}): Promise<TestBroker> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'broker-')))
  let running = await start(dataDir, 0)
  t.teardown(async () => {
    await endProcess(running.child, 'SIGKILL')
    if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true })
  })
  return {
    get brokers() {
      return [`127.0.0.1:${running.port}`]
    },
    get port() {
      return running.port
    },
    get pid() {
      return running.child.pid!
    },
    dataDir,
    get errors() {
      return running.errors.join('')
    },
    kill: async (signal) => {
      if (endingSignals.has(signal)) return endProcess(running.child, signal)
      running.child.kill(signal)
      return null
    },
    restart: async () => {
      await endProcess(running.child, 'SIGKILL')
      running = await start(dataDir, running.port)
    },
  }
}

/** Runs the broker's command line until it ends by itself; for the starts that are refused. */
export async function runBroker(
  args: string[],
  environment: Record<string, string> = {},
): Promise<{ code: number | null; output: string; errors: string }> {
  const child = spawn(process.execPath, [...program('embedded/broker'), ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output: string[] = []
  const errors: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text))
  await once(child, 'close')
  return { code: child.exitCode, output: output.join(''), errors: errors.join('') }
}

async function start(dataDir: string, port: number): Promise<Running> {
  const child = spawn(
    process.execPath,
    [...program('embedded/broker'), '--port', String(port), '--data', dataDir],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const errors: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text))
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /^listening on .*:(\d+)$/.exec(line)
    if (found === null) continue
    child.stdout.resume()
    return { child, port: Number(found[1]), errors }
  }
  throw new Error(`the broker ended before it listened: ${errors.join('')}`)
}
