import { writeFileSync } from 'node:fs'
import pg from 'pg'
import { pino } from 'pino'
import { serve } from '../src/api/serve.ts'
import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import { createMetrics } from '../src/metrics.ts'
import { listQueries, type Asked } from './list-queries.ts'

const usage = `Usage: npm run bench:queries -- --url URL [--runs N] [--json F]

Asks the GraphQL API, served by this process on the database, one thing after the other, and prints what each took over HTTP.

  --url URL   a database that bench:generate has filled
  --runs N    how often each is asked (default 15); the median is told, and the slowest
  --json F    writes the figures to F too
  --help      this text

Ends with 0 if all was asked, 2 if it could not run.
`

type Figure = { name: string; medianMs: number; maxMs: number; errors: string[] }

interface Flags {
  url?: string | undefined
  runs: string
  json?: string | undefined
}

async function run(values: Flags): Promise<number> {
  if (values.url === undefined) throw new Error('--url must name the database.')
  const runs = readCount('runs', values.runs)
  // As many connections as the service gives its API.
  const database = new pg.Pool({ connectionString: values.url, max: 4 })
  const api = await serve({ host: '127.0.0.1', port: 0 }, dependencies(database))
  try {
    const queries = listQueries(await findId(database), { month: daysAgo(30), day: daysAgo(1) })
    const figures: Figure[] = []
    for (const asked of queries) figures.push(await measure(api.port, asked, runs))
    process.stdout.write(toTable(figures))
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`)
    return exitCodes.done
  } finally {
    await api.close()
    await database.end()
  }
}

function dependencies(database: pg.Pool): Parameters<typeof serve>[1] {
  return {
    database,
    metrics: createMetrics('bench'),
    logger: pino({ level: 'error' }),
    instance: 'bench',
    release: 'bench',
    health: () => ({
      listener: { up: true, ageMs: 0, lastError: null },
      consumer: {
        state: 'running',
        up: true,
        lastError: null,
        topicMissing: false,
        assigned: [],
        unread: [],
        waiting: [],
        coordinatorError: null,
        topic: 'bench',
        connection: { isConnected: true, since: new Date(), reason: null },
        fetchedAt: null,
        heartbeatAt: null,
        group: null,
      },
      peers: { heard: new Map(), mayLive: () => true },
      lanes: [
        { lane: 'fresh', inFlight: 0, claimedAhead: 0, limit: 500, lastError: null },
        { lane: 'retry', inFlight: 0, claimedAhead: 0, limit: 5, lastError: null },
      ],
      destination: { room: 505, limit: 505 },
      logRetention: null,
      draining: false,
      starting: null,
    }),
    reasonsRequired: false,
    keyWindow: { keyWindowMs: null, leaseMs: 0 },
    access: { tokens: [], open: false, introspection: true },
    destination: { name: 'default', url: 'http://127.0.0.1:8001/process' },
    onEvents: () => () => undefined,
    certificates: () => [],
    onDestination: () => () => undefined,
    onJobs: () => () => undefined,
  }
}

async function findId(database: pg.Pool): Promise<string> {
  const { rows } = await database.query<{ id: string }>(
    `select transaction_id as id from message_states where status = 'success' limit 1`,
  )
  if (rows[0] === undefined) throw new Error('There is no message: fill the database by bench:generate.')
  return rows[0].id
}

function daysAgo(days: number): string {
  return new Date(Date.now() - days * 86_400_000).toISOString()
}

async function measure(port: number, { name, query }: Asked, runs: number): Promise<Figure> {
  const times: number[] = []
  let errors: string[] = []
  for (let run = 0; run < runs; run++) {
    const startedAt = performance.now()
    const reply = await fetch(`http://127.0.0.1:${port}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ query }),
    })
    const body = (await reply.json()) as { errors?: { message: string }[] }
    times.push(performance.now() - startedAt)
    errors = (body.errors ?? []).map(({ message }) => message)
  }
  times.sort((a, b) => a - b)
  return { name, medianMs: times[Math.floor(runs / 2)] ?? NaN, maxMs: times.at(-1) ?? NaN, errors }
}

function toTable(figures: readonly Figure[]): string {
  const width = Math.max(...figures.map(({ name }) => name.length))
  return figures
    .map(
      ({ name, medianMs, maxMs, errors }) =>
        `${name.padEnd(width)}  ${medianMs.toFixed(1).padStart(8)} ms  max ${maxMs.toFixed(1).padStart(8)} ms  ${errors.join(' ')}\n`,
    )
    .join('')
}

process.exitCode = await runCommand({
  usage,
  options: { url: { type: 'string' }, runs: { type: 'string', default: '15' }, json: { type: 'string' } },
  run,
})
