import { faults, type Fault } from './faults.ts'

export interface Options {
  port: number
  host: string
  /** The share of requests that succeed, 0 to 1. */
  success: number
  /** The status of a failure. */
  failureStatus: number
  /** The status of every answer, instead of success and failure; a 2xx has its effect, any other has none. */
  status: number | undefined
  latencyMs: number
  /** What comes above so many requests in a second gets 429 and has no effect; null: nothing does. */
  rate: number | null
  /** How long after its first request a key is forgotten, in milliseconds; null: never. What is forgotten has its effect again. */
  forgetAfterMs: number | null
  /** Sent unchanged with every answer that is not 2xx; nonsense values are allowed on purpose. */
  retryAfter: string | undefined
  /**
   * Together with the key and the number of its requests so far, this decides everything that looks random.
   */
  seed: string
  ledger: string | undefined
  /** The requested faults, each with the share of requests that it affects. */
  shares: { fault: Fault; share: number }[]
  lean: boolean
  /** With `lean`: records when each key first arrived. */
  arrivals: boolean
}

const plain = {
  port: ['N', 'port to listen on; 0 for a free one (8001)'],
  host: ['ADDRESS', 'address to listen on (127.0.0.1)'],
  success: ['SHARE', 'share of requests that succeed (0.8)'],
  'failure-status': ['N', 'status of the others (503)'],
  status: ['N', 'the same status for every request instead'],
  latency: ['MS', 'wait before each answer, after the effect (0)'],
  rate: ['N', 'answer 429 with Retry-After: 1 and no effect to what comes above N requests in a second'],
  'forget-after': ['SECONDS', 'forget a key so long after its first request: then it has its effect again'],
  'retry-after': ['VALUE', 'Retry-After header of every answer that is not 2xx'],
  seed: ['TEXT', 'makes a run repeatable: seed, key and its number of requests decide each result (random)'],
  ledger: ['FILE', 'file for a JSON line for every request, on disk before its answer; read at the start'],
} as const

export const usage = `Usage: npm run mock -- [flags]

A payment processor for tests and development: POST /process, GET /payments/KEY, GET /health. It honours Idempotency-Key.
POST /outage?seconds=10 makes every request of the next ten seconds fail, with --failure-status and no effect.

${table(Object.entries(plain).map(([name, [value, help]]) => [`--${name} ${value}`, help]))}

Faults, each with the share of requests that it affects:
${table(faults.map(({ name, help }) => [`--${name} SHARE`, help]))}

For benchmarks, with --port and --host only:
${table([
  ['--lean', 'answers 200 to everything at the lowest cost; GET /health or SIGUSR2 tells how many'],
  [
    '--arrivals',
    'with --lean: GET /arrivals tells when each new Idempotency-Key first arrived since the last call',
  ],
])}

  --help                  this text

Ends with 0 on SIGTERM or SIGINT, 2 if it could not run.
`

/** @throws an Error with one sentence about the first flag whose value is wrong */
export function readOptions(values: Readonly<Record<string, string | boolean | undefined>>): Options {
  const text = (name: string) => (typeof values[name] === 'string' ? values[name] : undefined)
  const shares = faults
    .map((fault) => ({ fault, share: number(text(fault.name) ?? '0', fault.name, 0, 1) }))
    .filter(({ share }) => share > 0)
  if (shares.reduce((sum, { share }) => sum + share, 0) > 1)
    throw new Error('The shares of the faults add up to more than 1.')
  const lean = values.lean === true
  const other = Object.keys(values).find((name) => !['lean', 'arrivals', 'port', 'host'].includes(name))
  if (lean && other !== undefined)
    throw new Error(`--lean goes with --port and --host only, not with --${other}.`)
  const arrivals = values.arrivals === true
  if (arrivals && !lean) throw new Error('--arrivals goes with --lean only.')
  const status = text('status')
  const rate = text('rate')
  const forgetAfter = text('forget-after')
  return {
    port: integer(text('port') ?? '8001', 'port', 0, 65_535),
    host: text('host') ?? '127.0.0.1',
    success: number(text('success') ?? '0.8', 'success', 0, 1),
    failureStatus: integer(text('failure-status') ?? '503', 'failure-status', 200, 999),
    status: status === undefined ? undefined : integer(status, 'status', 200, 999),
    latencyMs: number(text('latency') ?? '0', 'latency', 0, 3_600_000),
    rate: rate === undefined ? null : integer(rate, 'rate', 1, 1_000_000),
    forgetAfterMs:
      forgetAfter === undefined ? null : 1_000 * number(forgetAfter, 'forget-after', 0.001, 1_000_000),
    retryAfter: text('retry-after'),
    seed: text('seed') ?? String(Math.random()),
    ledger: text('ledger'),
    shares,
    lean,
    arrivals,
  }
}

/** The flags in the form of `parseArgs`. */
export const flags = Object.fromEntries([
  ...[...Object.keys(plain), ...faults.map(({ name }) => name)].map((name) => [
    name,
    { type: 'string' as const },
  ]),
  ...['lean', 'arrivals'].map((name) => [name, { type: 'boolean' as const }]),
]) as Record<string, { type: 'string' | 'boolean' }>

function integer(text: string, name: string, from: number, to: number): number {
  const value = number(text, name, from, to)
  if (!Number.isInteger(value)) throw new Error(`--${name} must be a whole number, not ${text}.`)
  return value
}

function number(text: string, name: string, from: number, to: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= from && value <= to))
    throw new Error(`--${name} must be a number from ${from} to ${to}, not ${JSON.stringify(text)}.`)
  return value
}

function table(rows: [string, string][]): string {
  return rows.map(([flag, help]) => `  ${flag.padEnd(24)}${help}`).join('\n')
}
