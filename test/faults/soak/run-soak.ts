import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { wait } from '../../../src/runtime/wait.ts'
import { startApacheKafka } from '../../support/apache-kafka.ts'
import { setUpLine, type Line } from '../../support/line.ts'
import { startOwnPostgres } from '../../support/own-postgres.ts'
import { inflict, type Parts } from './inflict.ts'
import { Instance } from './instance.ts'
import { judge, lastingInstance, summarizeMemory, type Figures } from './judge.ts'
import { planFaults } from './plan-faults.ts'

export interface SoakOptions {
  seconds: number
  /** Between the beginnings of two faults; one that takes longer puts off the next. */
  everySeconds: number
  /** Records a second. */
  rate: number
  /** Decides the faults, their order, and whom they strike. */
  seed: string
  /** Is given a line for each fault when it is over. */
  say: (line: string) => void
  /** Ends the run early: its reason is thrown once the fault that is being inflicted is over. */
  signal: AbortSignal
}

export interface Soak {
  figures: Figures
  /** What is not as it must be, a sentence each. */
  problems: string[]
}

/**
 * Two instances, PostgreSQL, Kafka and a processor, all of them real and the run's own, under a steady load and one fault after
 * another; then all is settled and counted.
 */
export async function runSoak(t: Pick<Test, 'teardown'>, options: SoakOptions): Promise<Soak> {
  const { seconds, rate, say } = options
  const failing = new AbortController()
  const signal = AbortSignal.any([options.signal, failing.signal])
  const logFolder = await mkdtemp(join(tmpdir(), 'tqp-soak-'))
  const onEnd = (sentence: string) => failing.abort(new Error(sentence))
  const parts = await setUp(t, { seed: options.seed, logFolder, onEnd, signal })
  say(`the logs of the instances are in ${logFolder} until a run is clean`)
  const instances = [parts.lasting, parts.replaced]
  const looking = setInterval(() => instances.forEach((each) => each.measure()), 1_000)
  t.teardown(() => clearInterval(looking))
  const produced = Math.round(seconds * rate)
  const startedAt = Date.now()
  const producing = parts.line.produce(produced, rate)
  // Nobody waits for it while a fault is being inflicted; what it rejects with is thrown below.
  producing.catch(() => undefined)
  const faults = await inflictAll(parts, { ...options, signal })
  await unless(signal, producing)
  const waitedInVain = await unless(signal, waitForAll(parts.line, instances, produced))
  const figures: Figures = {
    seed: options.seed,
    seconds,
    faults,
    produced,
    waitedInVain,
    ...(await countLog(parts.line)),
    ...(await countLedger(parts.line, startedAt)),
    missedWakeups: (await parts.lasting.missedWakeups()) + (await parts.replaced.missedWakeups()),
    memoryMiB: Object.fromEntries(instances.map((each) => [each.name, summarizeMemory(each.memoryMiB)])),
  }
  const problems = judge(figures)
  if (problems.length === 0) await rm(logFolder, { recursive: true, force: true })
  return { figures, problems }
}

/** One part after the other, so that an interruption finds none half started. */
async function setUp(
  t: Pick<Test, 'teardown'>,
  given: { seed: string; logFolder: string; onEnd: (sentence: string) => void; signal: AbortSignal },
): Promise<Parts> {
  const { seed, logFolder, onEnd, signal } = given
  const postgres = await startOwnPostgres(t)
  signal.throwIfAborted()
  const kafka = await startApacheKafka(t)
  signal.throwIfAborted()
  // So slow that a fault finds attempts open, and so wide that what an outage held up is caught up with.
  const flags = ['--success', '0.95', '--latency', '100', '--seed', seed]
  const line = await setUpLine(t, flags, { database: postgres, brokers: kafka.brokers })
  const settings = {
    ...line.settings,
    MAX_CONCURRENT: '100',
    // So many that they outlast every outage: each payment must be delivered in the end.
    MAX_RETRIES: '20',
    BASE_DELAY: '0.5',
    MAX_DELAY: '5',
    // As `npm start` has it.
    NODE_OPTIONS: '--max-semi-space-size=64',
  }
  const lasting = new Instance(t, { name: lastingInstance, settings, logFolder, onEnd })
  const replaced = new Instance(t, { name: 'instance 2', settings, logFolder, onEnd })
  for (const instance of [lasting, replaced]) {
    signal.throwIfAborted()
    await instance.start()
    await instance.isReady()
  }
  return { line, postgres, brokers: [kafka], lasting, replaced }
}

/** One after another, each in its second or when the one before is over; answers a line for each. */
async function inflictAll(parts: Parts, options: SoakOptions): Promise<string[]> {
  const { seed, seconds, everySeconds, say, signal } = options
  const startedAt = performance.now()
  const elapsed = () => (performance.now() - startedAt) / 1_000
  const lines: string[] = []
  for (const fault of planFaults(seed, seconds, everySeconds)) {
    await wait(Math.max(0, fault.atSeconds - elapsed()) * 1_000, signal)
    signal.throwIfAborted()
    const at = elapsed()
    const struck = await inflict(fault, parts, signal)
    const line = `${at.toFixed(1).padStart(7)} s  ${struck} (${(elapsed() - at).toFixed(1)} s)`
    lines.push(line)
    say(line)
  }
  return lines
}

/** Until every message is settled and every instance is ready; answers what did not come to pass. */
async function waitForAll(line: Line, instances: readonly Instance[], total: number): Promise<string[]> {
  const waits = [line.settled(total), ...instances.map((each) => each.isReady())]
  const results = await Promise.allSettled(waits)
  return results.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []))
}

async function countLog(line: Line) {
  const { success, dead_letter: deadLetters } = await line.counts()
  const events = await line.events()
  const acks = await readFile(line.acksPath, 'utf8')
  const { code, output } = await line.verify()
  return {
    acknowledged: acks.split('\n').length - 1,
    success,
    deadLetters,
    attemptsAbandoned: events.attempt_abandoned ?? 0,
    lateResults: events.late_result_observed ?? 0,
    duplicates: events.duplicate_received ?? 0,
    differences: code === 0 ? null : output,
  }
}

async function countLedger(line: Line, startedAt: number) {
  const ledger = await line.ledger()
  const effects = ledger.filter(({ effect }) => effect)
  return {
    requests: ledger.length,
    effects: effects.length,
    keysWithTwoEffects: (await line.effectsTwice()).length,
    sentTooOften: (await line.sentTooOften()).length,
    longestGap: findLongestGap([startedAt, ...effects.map(({ at }) => Date.parse(at))]),
  }
}

/** @param times in milliseconds, the first of them the begin of the run */
function findLongestGap(times: readonly number[]): Figures['longestGap'] {
  const sorted = times.toSorted((one, other) => one - other)
  const gaps = sorted.slice(1).map((time, index) => ({
    seconds: (time - sorted[index]!) / 1_000,
    atSeconds: Math.round((sorted[index]! - sorted[0]!) / 1_000),
  }))
  return gaps.reduce((longest, each) => (each.seconds > longest.seconds ? each : longest), {
    seconds: 0,
    atSeconds: 0,
  })
}

/** What the work comes to, unless the signal aborts first: then its reason is thrown. */
async function unless<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> {
  signal.throwIfAborted()
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
  return Promise.race([work, aborted])
}
