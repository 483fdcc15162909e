import { writeFileSync } from 'node:fs'
import { exitCodes, runCommand } from '../src/commands/run-command.ts'
import type { Figures } from './faults/soak/judge.ts'
import { runSoak, type SoakOptions } from './faults/soak/run-soak.ts'

// `npm run soak`: the run of test/faults/soak.test.ts for as long as one likes.

const usage = `Usage: npm run soak -- [--minutes M] [--seed S] [--rate R] [--every S] [--brokers 1|3] [--json F]

Two instances on a PostgreSQL, an Apache Kafka and a mock processor of the run's own, under load, with a fault every so often: an
instance killed or frozen, PostgreSQL restarted, a broker killed, a LISTEN session ended, the processor at 503. Then everything
is settled, counted and verified.

  --minutes M  how long records are produced (default 15)
  --seed S     the same seed has the same faults (default: a new one, which is printed)
  --rate R     records a second (default 300)
  --every S    seconds between two faults (default 20)
  --brokers N  of how many nodes Kafka is, 1 or 3 (default 1)
  --json F     writes the figures to F too
  --help       this text

Ends with 0 if all is as it must be, 1 if not, 2 if it could not run, 130 if it was interrupted. Needs Java 17.
`

type Options = Omit<SoakOptions, 'say' | 'signal'> & { jsonPath: string | undefined }

interface Flags {
  minutes: string
  seed?: string | undefined
  rate: string
  every: string
  brokers: string
  json?: string | undefined
}

async function run(flags: Flags): Promise<number> {
  const options = readOptions(flags)
  const interruption = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => interruption.abort(new Error('interrupted')))
  say(`soak of ${options.seconds / 60} minutes at ${options.rate} a second, seed ${options.seed}`)
  // Outside a test there is no tap to tidy up; what a test would leave to it is done at the end.
  const teardowns: (() => unknown)[] = []
  const t = { teardown: (handler: () => unknown) => teardowns.push(handler) }
  try {
    const { figures, problems } = await runSoak(t, { ...options, say, signal: interruption.signal })
    say(toTable(figures))
    for (const each of problems) say(`NOT RIGHT  ${each}`)
    if (problems.length === 0) say('all is as it must be')
    if (options.jsonPath !== undefined)
      writeFileSync(options.jsonPath, `${JSON.stringify({ ...figures, problems }, null, 2)}\n`)
    return problems.length === 0 ? exitCodes.done : exitCodes.differs
  } catch (error) {
    if (!interruption.signal.aborted) throw error
    say('interrupted')
    return 130
  } finally {
    // One that fails must not keep what comes after it running.
    for (const teardown of teardowns.reverse())
      await Promise.resolve()
        .then(teardown)
        .catch((error: unknown) => say(String(error)))
  }
}

/** @throws Error with one sentence about what makes no sense. */
function readOptions(values: Flags): Options {
  if (values.brokers !== '1' && values.brokers !== '3')
    throw new Error(`--brokers must be 1 or 3, not ${values.brokers}.`)
  return {
    seconds: readAboveZero('minutes', values.minutes) * 60,
    everySeconds: readAboveZero('every', values.every),
    rate: readAboveZero('rate', values.rate),
    brokers: values.brokers === '3' ? 3 : 1,
    seed: values.seed ?? String(Date.now()),
    jsonPath: values.json,
  }
}

function readAboveZero(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && value < Infinity)) throw new Error(`--${name} must be a number above 0, not ${text}.`)
  return value
}

function toTable(figures: Figures): string {
  const rows: [string, string | number][] = [
    ['produced', figures.produced],
    ['acknowledged', figures.acknowledged],
    ['success', figures.success],
    ['dead letters', figures.deadLetters],
    ['requests', figures.requests],
    ['effects', figures.effects],
    ['payments with two effects', figures.paidTwice],
    ['sent more often than attempts began', figures.sentTooOften],
    [
      'longest gap without a delivery',
      `${figures.longestGap.seconds.toFixed(1)} s, from second ${figures.longestGap.atSeconds}`,
    ],
    ['attempts abandoned', figures.attemptsAbandoned],
    ['late results', figures.lateResults],
    ['duplicates received', figures.duplicates],
    ['missed wakeups', figures.missedWakeups],
    ...Object.entries(figures.memoryMiB).map(([name, { start, middle, end, settled }]): [string, string] => [
      `memory of ${name}`,
      `${start} → ${middle} → ${end} MiB, settled ${settled}`,
    ]),
    [
      'in use of its heap',
      `${figures.heapMiB.start} → ${figures.heapMiB.middle} → ${figures.heapMiB.end} MiB`,
    ],
    ['faults', figures.faults.length],
    ['verify', figures.differences === null ? 'clean' : 'NOT CLEAN'],
  ]
  return ['', ...rows.map(([name, value]) => `${name.padEnd(36)}${value}`), ''].join('\n')
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

// What a run leaves behind, such as a producer that waits for its broker, must not hold the process.
process.exit(
  await runCommand({
    usage,
    options: {
      minutes: { type: 'string', default: '15' },
      seed: { type: 'string' },
      rate: { type: 'string', default: '300' },
      every: { type: 'string', default: '20' },
      brokers: { type: 'string', default: '1' },
      json: { type: 'string' },
    },
    run,
  }),
)
