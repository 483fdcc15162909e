import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Logger } from '../runtime/logger.ts'
import { programArguments } from '../runtime/program-arguments.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { wait } from '../runtime/wait.ts'
import { late, within } from '../runtime/within.ts'
import { anotherRun } from './archive.ts'
import { printStep, type ArchiveStep } from './archive-step.ts'

/** What RETAIN_LOG and ARCHIVE_DIR say. */
type LogRetention = {
  readonly retainMs: number
  /** RETAIN_LOG as it was set; the log of archives quotes it. */
  readonly text: string
  readonly directory: string
}

export type RetainLogOptions = {
  readonly retention: LogRetention
  readonly instance: string
  /** Of the run: the service's, with the owner's connection. */
  readonly environment: Readonly<Record<string, string>>
  readonly logger: Logger
  /** More flags of the command. For tests. */
  readonly flags?: readonly string[]
  /** Shorter bounds than `slowMs`. For tests. */
  readonly slowMs?: typeof slowMs
}

/** How the retention of the log stands in this instance. */
export type RetentionStanding = {
  /** When the last run ended that went through all segments; null before the first one. */
  readonly lastRunAt: Date | null
  /** Sentences without a path of this machine, which are in the log; null if nothing that is old enough waits. */
  readonly waitsFor: string | null
}

const everyMsMin = 1_000
const everyMsMax = 60 * 60_000
const firstAfterMs = 60_000
const namedMax = 3
const stderrMax = 8_000
// How long a run may take to open the folder and the database, and then for each segment. A run that takes longer is logged, and goes on:
// it may wait for a file system that hangs, and a kill would not end it.
const slowMs = { first: 60_000, next: 60 * 60_000 }
// A killed process that waits for a file system ends when that answers.
const killMsMax = 1_000

/**
 * Archives by itself what is older than RETAIN_LOG, once an hour: it runs `npm run archive` as a process of its own, which connects as the
 * owner. So the event loop that payments go through has no part in it, the service's own role keeps its few rights, and a run that is
 * killed at any moment is what that command is made for. It runs at a low priority. Of all instances one runs it at a time.
 *
 * This process asks nothing of the folder: a file system that hangs would keep one of its threads, and process.exit waits for them all.
 *
 * What is in the way (a disk that is full, a folder that is not there, messages that are open) is told once, and tried again an hour later.
 */
export class RetainLog {
  readonly #options: RetainLogOptions
  #standing: RetentionStanding = { lastRunAt: null, waitsFor: null }
  /** What was told last; null if nothing is in the way. */
  #told: string | null = null

  constructor(options: RetainLogOptions) {
    this.#options = options
  }

  get standing(): RetentionStanding {
    return this.#standing
  }

  /** Runs until the signal aborts; a run that is under way is killed then. Never rejects. */
  async live(signal: AbortSignal): Promise<void> {
    const everyMs = Math.min(Math.max(this.#options.retention.retainMs, everyMsMin), everyMsMax)
    let waitMs = Math.min(everyMs, firstAfterMs)
    while (await wait(waitMs, signal)) {
      waitMs = everyMs
      const { fault, waits } = await this.#run(signal).catch((error: unknown) => ({
        fault: reasonOf(error),
        waits: [],
      }))
      if (signal.aborted) return
      this.#note(fault ?? nameSome(waits), fault === null ? new Date() : this.#standing.lastRunAt)
    }
  }

  #note(reason: string | null, lastRunAt: Date | null): void {
    const { logger, retention } = this.#options
    this.#standing = { lastRunAt, waitsFor: reason && hidePaths(reason, retention.directory) }
    // Another instance tells of its own run.
    if (reason === anotherRun) return
    if (reason !== null && reason !== this.#told) logger.warn({ reason }, 'archive waits')
    if (reason === null && this.#told !== null) logger.info('archive no longer waits')
    this.#told = reason
  }

  /** One run. `fault` says why it did not get through; `waits` what is old enough and stays. */
  async #run(signal: AbortSignal): Promise<{ fault: string | null; waits: string[] }> {
    const { logger } = this.#options
    const waits: string[] = []
    const fault = await this.#spawn(signal, (step) => {
      if (step.step === 'archived') {
        const { segment, path, messages, events } = step
        logger.info({ segment, path, messages, events }, 'segment archived')
      } else if (isWaiting(step)) waits.push(printStep(step))
    })
    return { fault, waits }
  }

  /** Returns why the run did not get through all segments; null if it did. */
  async #spawn(signal: AbortSignal, onStep: (step: ArchiveStep) => void): Promise<string | null> {
    const { retention, instance, environment, flags = [] } = this.#options
    const child = spawn(
      process.execPath,
      [
        ...programArguments('commands/archive'),
        '--json',
        '--by-service',
        `--before=${Math.ceil(retention.retainMs / 1_000)}s`,
        `--to=${retention.directory}`,
        `--operator=${instance}/retention`,
        `--reason=RETAIN_LOG: ${retention.text}`,
        ...flags,
      ],
      // By the channel it notices that this process is gone, and ends.
      { env: { ...environment }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
    )
    const run = { isThrough: false }
    const kill = () => child.kill('SIGKILL')
    signal.addEventListener('abort', kill)
    if (signal.aborted) kill()
    const slow = this.#watch()
    try {
      const running = Promise.all([
        once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
        readText(child.stderr as Readable),
        readSteps(child.stdout as Readable, (step) => {
          slow.goOn()
          if (step.step === 'end') run.isThrough = true
          else if (step.step !== 'opened') onStep(step)
        }),
      ])
      const [ended, errors] = await this.#untilEnd(running, signal)
      const [code, killedBy] = ended
      // Node ends with 1 too, where it cannot load the command.
      if (run.isThrough) return null
      return findReason(errors) ?? `the archive ended with ${killedBy ?? code}.`
    } finally {
      slow.end()
      // What failed here must not leave it alone.
      if (child.exitCode === null && child.signalCode === null) kill()
      signal.removeEventListener('abort', kill)
    }
  }

  /** Tells of a run that takes very long. */
  #watch(): { goOn(): void; end(): void } {
    const { retention } = this.#options
    const bounds = this.#options.slowMs ?? slowMs
    let isTold = false
    const tellAfter = (ms: number, where: string): NodeJS.Timeout =>
      setTimeout(() => {
        isTold = true
        const reason = `The archive has made no progress for ${Math.round(ms / 1_000)} s: ${where} does not answer, or is very slow (${retention.directory}).`
        this.#note(reason, this.#standing.lastRunAt)
      }, ms).unref()
    let timer = tellAfter(bounds.first, 'ARCHIVE_DIR or the database')
    return {
      goOn: () => {
        clearTimeout(timer)
        if (isTold) this.#note(null, this.#standing.lastRunAt)
        isTold = false
        timer = tellAfter(bounds.next, 'ARCHIVE_DIR')
      },
      end: () => clearTimeout(timer),
    }
  }

  /** A stop does not wait for a process that cannot be killed. */
  async #untilEnd<Value>(running: Promise<Value>, signal: AbortSignal): Promise<Value> {
    const ended = await within(running, unbounded, signal)
    const answer = ended === late ? await within(running, killMsMax) : ended
    if (answer !== late) return answer
    const reason = `${this.#options.retention.directory} does not answer: the archive is killed, and ends when it does.`
    this.#options.logger.warn({ reason }, 'archive does not end')
    // Nobody hears of its end any more.
    running.catch(() => undefined)
    throw new Error(reason)
  }
}

// The longest that a timer can be. A run that takes longer is no run of ours.
const unbounded = 2 ** 31 - 1

async function readSteps(
  output: Readable,
  onStep: (step: ArchiveStep | { readonly step: 'opened' } | { readonly step: 'end' }) => void,
): Promise<void> {
  for await (const line of createInterface({ input: output })) {
    try {
      onStep(JSON.parse(line) as ArchiveStep)
    } catch {
      // A killed process leaves half a line.
    }
  }
}

/** The last line; of a crash of Node the line that says why. */
function findReason(errors: string): string | null {
  const lines = errors.trim().split('\n')
  const last = lines.at(-1) ?? ''
  const reason = /^Node\.js v\d/.test(last) ? lines.find((line) => /^\w*Error\b.*: /.test(line)) : last
  return reason === undefined || reason === '' ? null : reason
}

async function readText(output: Readable): Promise<string> {
  let text = ''
  for await (const chunk of output.setEncoding('utf8') as AsyncIterable<string>)
    text = (text + chunk).slice(-stderrMax)
  return text
}

/** Whether a segment is old enough, and stays. */
function isWaiting(step: ArchiveStep): boolean {
  return (
    step.step === 'refused' || step.step === 'unfinished' || (step.step === 'kept' && step.because === 'open')
  )
}

function nameSome(waits: readonly string[]): string | null {
  if (waits.length === 0) return null
  const more = waits.length > namedMax ? ` And ${waits.length - namedMax} more.` : ''
  return `${waits.slice(0, namedMax).join(' ')}${more}`
}

/** As everyone may see it who asks for the status. */
function hidePaths(reason: string, directory: string): string {
  return reason
    .replaceAll(resolve(directory), 'ARCHIVE_DIR')
    .replaceAll(directory, 'ARCHIVE_DIR')
    .replace(/(?<=^|[\s'"(])\/[^\s'"(),;:]+/g, '(a path)')
}
