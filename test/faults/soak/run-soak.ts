import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { wait } from '../../../src/runtime/wait.ts'
import { startApacheKafka } from '../../support/apache-kafka.ts'
import { startApacheKafkaCluster } from '../../support/apache-kafka-cluster.ts'
import { setUpLine, type Line } from '../../support/line.ts'
import { startOwnPostgres } from '../../support/own-postgres.ts'
import { inflict, type Parts } from './inflict.ts'
import { Instance, type InstanceOptions } from './instance.ts'
import {
  judge,
  lastingInstance,
  summarizeHeap,
  summarizeMemory,
  type Figures,
  type Inflicted,
} from './judge.ts'
import { produceAll } from './produce-all.ts'
import { planFaults } from './plan-faults.ts'

/** For what the last faults held up; it bounds a hang, and no speed. */
const settledWithinMs = 300_000

export interface SoakOptions {
  seconds: number
  /** Between the beginnings of two faults; one that takes longer puts off the next. */
  everySeconds: number
  /** Records a second. */
  rate: number
  /** Of how many nodes Kafka is. */
  brokers: 1 | 3
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
  const { seconds, rate, seed, say } = options
  const failing = new AbortController()
  const signal = AbortSignal.any([options.signal, failing.signal])
  const logFolder = await mkdtemp(join(tmpdir(), 'tqp-soak-'))
  const onEnd = (sentence: string) => failing.abort(new Error(sentence))
  const parts = await setUp(t, { ...options, logFolder, onEnd, signal })
  say(`the logs of the instances are in ${logFolder} until a run is clean`)
  const instances = [parts.lasting, parts.replaced]
  const looking = setInterval(() => instances.forEach((each) => void each.measure()), 1_000)
  t.teardown(() => clearInterval(looking))
  const startedAt = Date.now()
  const producing = produceAll(parts.line, { seconds, rate, seed, signal })
  producing.catch((fault: unknown) => failing.abort(fault))
  const faults = await inflictAll(parts, { ...options, signal })
  const produced = await unless(signal, producing)
  const waitedInVain = await unless(signal, waitForAll(parts.line, instances, produced))
  const figures: Figures = {
    seed,
    seconds,
    faults,
    produced,
    waitedInVain,
    ...(await countLog(parts.line)),
    ...(await countLedger(parts.line, startedAt)),
    missedWakeups: (await parts.lasting.missedWakeups()) + (await parts.replaced.missedWakeups()),
    memoryMiB: Object.fromEntries(instances.map((each) => [each.name, summarizeMemory(each.memoryMiB)])),
    heapMiB: summarizeHeap(parts.lasting.heapMiB),
  }
  const problems = judge(figures)
  if (problems.length === 0) await rm(logFolder, { recursive: true, force: true })
  return { figures, problems }
}

/** One part after the other, so that an interruption finds none half started. */
async function setUp(
  t: Pick<Test, 'teardown'>,
  given: SoakOptions & Pick<InstanceOptions, 'logFolder' | 'onEnd'>,
): Promise<Parts> {
  const { seed, logFolder, onEnd, signal } = given
  const postgres = await startOwnPostgres(t)
  signal.throwIfAborted()
  const kafka = await startBrokers(t, given.brokers)
  signal.throwIfAborted()
  // So slow that a fault finds attempts open.
  const flags = ['--success', '0.95', '--latency', '100', '--seed', seed]
  const line = await setUpLine(t, flags, { database: postgres, brokers: kafka.addresses })
  const settings = {
    ...line.settings,
    // Room to catch up with what an outage held up.
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
  return {
    line,
    postgres,
    brokers: kafka.nodes,
    areWhole: () => kafka.areWhole(line.topic),
    lasting,
    replaced,
  }
}

/** Of three, two have a record before it is acknowledged, so that one may be killed. */
async function startBrokers(t: Pick<Test, 'teardown'>, count: 1 | 3) {
  if (count === 1) {
    const node = await startApacheKafka(t)
    return { addresses: node.brokers, nodes: [node], areWhole: () => Promise.resolve() }
  }
  const replicated = { 'default.replication.factor': '3', 'min.insync.replicas': '2' }
  const { brokers: addresses, nodes, isWhole: areWhole } = await startApacheKafkaCluster(t, replicated)
  return { addresses, nodes, areWhole }
}

/** One after another, each in its second or when the one before is over. */
async function inflictAll(parts: Parts, options: SoakOptions): Promise<Inflicted[]> {
  const { seed, seconds, everySeconds, say, signal } = options
  const startedAt = performance.now()
  const elapsed = () => (performance.now() - startedAt) / 1_000
  const inflicted: Inflicted[] = []
  for (const fault of planFaults(seed, seconds, everySeconds)) {
    await wait(Math.max(0, fault.atSeconds - elapsed()) * 1_000, signal)
    signal.throwIfAborted()
    const began = elapsed()
    const struck = await inflict(fault, parts, signal)
    const [atSeconds, tookSeconds] = [began, elapsed() - began].map((each) => Number(each.toFixed(1)))
    inflicted.push({ atSeconds: atSeconds!, struck, tookSeconds: tookSeconds! })
    say(`${began.toFixed(1).padStart(7)} s  ${struck} (${tookSeconds} s)`)
  }
  return inflicted
}

/** Until every message is settled and every instance is ready; answers what did not come to pass. */
async function waitForAll(line: Line, instances: readonly Instance[], total: number): Promise<string[]> {
  const waits = [line.settled(total, settledWithinMs), ...instances.map((each) => each.isReady())]
  const results = await Promise.allSettled(waits)
  return results.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []))
}

async function countLog(line: Line) {
  const { success, dead_letter: deadLetters } = await line.counts()
  const events = await line.events()
  const acks = (await readFile(line.acksPath, 'utf8')).split('\n').slice(0, -1)
  const acknowledged = new Set(
    acks.map((ack) => (JSON.parse(ack) as { transaction_id: string }).transaction_id),
  )
  const { code, output } = await line.verify()
  return {
    acknowledged: acknowledged.size,
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
    paidTwice: (await line.paidTwice()).length,
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
