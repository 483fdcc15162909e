import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { program } from './program.ts'
import { until } from './until.ts'

export interface Service {
  url: string
  pid: number
  /** The lines of its log so far, parsed; none where its log goes to a file. */
  log: Record<string, unknown>[]
  /** What it wrote to standard output: that log as it stands. */
  output: () => string
  /** What it wrote to standard error: the banner and sentences. */
  errors: () => string
  /** Resolves with the exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>
  kill(signal: NodeJS.Signals): void
}

/** A test, or what stands in for one and has no assertions. */
type Running = Pick<Test, 'teardown'> & Partial<Pick<Test, 'passing'>>

/**
 * Runs the real service as a process of its own until the test ends, on a free port, with these settings and no others.
 *
 * @param command what is told to run it, in place of Node: a program that limits what it may do, with the program of another folder
 * @param standardOutput where it writes its log, if the test does not read it as it comes: a file descriptor, or the path of a file that
 *   it is added to
 */
export async function startService(
  t: Running,
  settings: Record<string, string>,
  standardOutput?: number | string,
  [file = process.execPath, ...args]: readonly string[] = [process.execPath, ...program('main')],
): Promise<Service> {
  const logFile = typeof standardOutput === 'string' ? await open(standardOutput, 'a') : null
  const child = spawn(file, args, {
    env: { PATH: process.env.PATH, PORT: '0', NODE_ENV: 'test', ...settings },
    stdio: ['ignore', logFile?.fd ?? (typeof standardOutput === 'number' ? standardOutput : 'pipe'), 'pipe'],
  })
  await logFile?.close()
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
    if (t.passing?.() === false) tellEnd(output + errors)
  })
  const log = readLog(child)
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text))
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const findUrl = () => readBanner(errors) ?? readServing(log)
  await until('the banner', () => findUrl() !== null || child.exitCode !== null || child.signalCode !== null)
  return {
    url: findUrl() ?? '',
    pid: child.pid ?? 0,
    log,
    output: () => output,
    errors: () => errors,
    ended,
    kill: (signal) => child.kill(signal),
  }
}

function readBanner(errors: string): string | null {
  return /Transaction Queue Proxy {3}(http:\/\/\S+)/.exec(errors)?.[1] ?? null
}

/** In production a line of the log stands in for the banner. */
function readServing(log: Service['log']): string | null {
  const line = log.find(({ event }) => event === 'serving')
  return line === undefined ? null : `http://${String(line.host)}:${String(line.port)}`
}

/** The same, and waits until it is ready: database, listener and consumer are up. */
export async function startReadyService(
  t: Running,
  settings: Record<string, string>,
  standardOutput?: number | string,
): Promise<Service> {
  const service = await startService(t, settings, standardOutput)
  await isReady(service)
  return service
}

/** Waits until database, listener and consumer are up. */
export async function isReady(service: Service): Promise<void> {
  await until('the service to be ready', async () => (await fetch(`${service.url}/readyz`)).ok)
}

/** The value of a metric, named with its labels if it has any, as Prometheus would read it. */
export async function readMetric(service: Service, name: string): Promise<number> {
  const response = await fetch(`${service.url}/metrics`, { headers: { accept: 'text/plain' } })
  const found = new RegExp(`^${name} (\\S+)$`, 'm').exec(await response.text())
  return Number(found?.[1])
}

/** The end of a failed test's service, without its attempts: most faults are plain from it, and few come twice. */
function tellEnd(output: string): void {
  const lines = output.trimEnd().split('\n')
  const told = lines.filter((line) => !line.endsWith('"event":"attempt"}'))
  process.stderr.write(`# the end of the log of a service whose test failed:\n`)
  for (const line of told.slice(-60)) process.stderr.write(`#   ${line}\n`)
}

function readLog(child: ChildProcess): Record<string, unknown>[] {
  const log: Record<string, unknown>[] = []
  if (child.stdout === null) return log
  createInterface({ input: child.stdout }).on('line', (line) => {
    // A killed process may leave half a line.
    if (line.endsWith('}')) log.push(JSON.parse(line) as Record<string, unknown>)
  })
  return log
}
