import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { program } from './program.ts'

export interface Mock {
  /** Where transactions are POSTed. */
  url: string
  port: number
  pid: number
  /** The ledger: of `--ledger`, else a temporary file that goes with the test. */
  ledgerPath: string
  /** Has every request of the next seconds fail without an effect. */
  beginOutage(seconds: number): Promise<void>
  /** SIGKILL, as a crash; resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGTERM; resolves when the process is gone. */
  stop(): Promise<void>
}

/**
 * Runs the real mock processor on a free port, or on that of `--port`, until the test ends. To restart one, start another
 * with `--port` and `--ledger` of the first.
 */
export async function startMock(t: Pick<Test, 'teardown'>, flags: string[] = []): Promise<Mock> {
  const ledgerPath = await findLedger(t, flags)
  const ledger = flags.includes('--lean') || flags.includes('--ledger') ? [] : ['--ledger', ledgerPath]
  const port = flags.includes('--port') ? [] : ['--port', '0']
  const child = spawn(process.execPath, [...program('embedded/mock'), ...port, ...ledger, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'exit').then(() => undefined)
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await gone
  }
  t.teardown(() => end('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout })) {
    const listening = /^listening on 127\.0\.0\.1:(\d+)$/.exec(line)
    if (!listening) continue
    // Nothing more is of interest, and an unread pipe would stop the process once it is full.
    child.stdout.resume()
    const url = `http://127.0.0.1:${listening[1]}`
    return {
      url: `${url}/process`,
      port: Number(listening[1]),
      pid: child.pid ?? 0,
      ledgerPath,
      beginOutage: async (seconds) => {
        const { status } = await fetch(`${url}/outage?seconds=${seconds}`, { method: 'POST' })
        if (status !== 200) throw new Error(`The mock processor begins no outage of ${seconds} s: ${status}`)
      },
      kill: () => end('SIGKILL'),
      stop: () => end('SIGTERM'),
    }
  }
  throw new Error(`The mock processor ended before it listened: ${flags.join(' ')}`)
}

async function findLedger(t: Pick<Test, 'teardown'>, flags: string[]): Promise<string> {
  const named = flags[flags.indexOf('--ledger') + 1]
  if (flags.includes('--ledger') && named !== undefined) return named
  const folder = await mkdtemp(join(tmpdir(), 'tqp-mock-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'ledger.jsonl')
}
