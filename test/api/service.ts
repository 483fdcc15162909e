import { createHash } from 'node:crypto'
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import pg, { type Pool } from 'pg'
import { pino } from 'pino'
import type { Test } from 'tap'
import type { Access } from '../../src/api/access.ts'
import type { ApiDependencies } from '../../src/api/api-dependencies.ts'
import type { Health } from '../../src/api/health.ts'
import { serve, type Serving } from '../../src/api/serve.ts'
import type { Claim } from '../../src/log/write/to-claim.ts'
import { ingest, type DecodedRecord } from '../../src/log/write/ingest.ts'
import { settle, type Settlement } from '../../src/log/write/settle.ts'
import { createMetrics, type Metrics } from '../../src/metrics.ts'
import { Hint } from '../../src/runtime/hint.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'

export const well: Health = {
  listener: { up: true, ageMs: 1_500, lastError: null },
  consumer: {
    state: 'running',
    up: true,
    lastError: null,
    topicMissing: false,
    assigned: [0, 1],
    unread: [],
    waiting: [],
    coordinatorError: null,
    topic: 'transactions.incoming',
    connection: { isConnected: true, since: new Date('2026-01-02T03:04:05Z'), reason: null },
    fetchedAt: new Date('2026-01-02T03:05:05Z'),
    heartbeatAt: new Date('2026-01-02T03:05:06Z'),
    group: {
      at: new Date('2026-01-02T03:05:04Z'),
      members: [{ clientId: 'instance-1', partitions: [0, 1] }],
    },
  },
  peers: { heard: new Map(), mayLive: () => true },
  lanes: [
    { lane: 'fresh', inFlight: 3, claimedAhead: 2, limit: 50, lastError: null },
    { lane: 'retry', inFlight: 0, claimedAhead: 0, limit: 5, lastError: null },
  ],
  destination: { room: 55, limit: 55 },
  logRetention: null,
  draining: false,
  starting: null,
}

export type Service = Serving & {
  metrics: Metrics
  lines: Record<string, unknown>[]
  /** What the LISTEN session would give. */
  events: Hint
  /** The same, for the destination. */
  destinationChanges: Hint
  /** The same, for replay jobs. */
  jobChanges: Hint
  call: (method: string, path: string, options?: CallOptions) => Promise<Reply>
}

/** The API on a free port; it ends with the test. */
export async function startService(
  t: Pick<Test, 'teardown'>,
  database: Pool,
  health: () => Health = () => well,
  access: Access = { tokens: [], open: false, introspection: true },
  {
    reasonsRequired = false,
    keyWindowMs = null,
    tokenFile = null,
    accessesEveryMs,
    ...limits
  }: {
    connectionsMax?: number
    certificates?: ApiDependencies['certificates']
    reasonsRequired?: boolean
    keyWindowMs?: number | null
    tokenFile?: ApiDependencies['tokenFile']
    accessesEveryMs?: number
  } = {},
): Promise<Service> {
  const lines: Record<string, unknown>[] = []
  const logger = pino(
    { messageKey: 'event' },
    { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  )
  const metrics = createMetrics('1.2.3')
  const events = new Hint()
  const destinationChanges = new Hint()
  const jobChanges = new Hint()
  const dependencies = {
    database,
    metrics,
    logger,
    instance: 'instance-1',
    release: '1.2.3',
    health,
    access,
    tokenFile: tokenFile ?? null,
    ...(accessesEveryMs !== undefined && { accessesEveryMs }),
    reasonsRequired,
    keyWindow: { keyWindowMs, leaseMs: 60_000 },
    destination: { name: 'default', url: 'https://processor.test/process' },
    onEvents: (wake: () => void) => events.on(wake),
    certificates: limits.certificates ?? (() => []),
    onDestination: (wake: () => void) => destinationChanges.on(wake),
    onJobs: (wake: () => void) => jobChanges.on(wake),
  }
  const serving = await serve({ host: '127.0.0.1', port: 0, ...limits }, dependencies)
  t.teardown(() => serving.close())
  return {
    ...serving,
    metrics,
    lines,
    events,
    destinationChanges,
    jobChanges,
    call: (...call) => send(serving.port, ...call),
  }
}

/** A pool whose way to the database can be made to fail. */
export async function connectThroughProxy(
  t: Pick<Test, 'teardown'>,
  url: string,
): Promise<{ pool: Pool; proxy: Proxy }> {
  const target = new URL(url)
  const proxy = await startProxy(t, { host: target.hostname, port: Number(target.port) })
  target.hostname = '127.0.0.1'
  target.port = String(proxy.port)
  const pool = new pg.Pool({ connectionString: target.href })
  pool.on('error', () => undefined)
  t.teardown(async () => {
    // A connection that never came would hold up the pool's end.
    await proxy.stop()
    await pool.end()
  })
  return { pool, proxy }
}

type CallOptions = { headers?: Record<string, string>; body?: string | Buffer }
type Reply = { status: number; headers: IncomingHttpHeaders; text: string; json: unknown }

/** Sends the path as it stands: fetch would resolve dots and encode what is not encoded. */
async function send(port: number, method: string, path: string, options: CallOptions = {}): Promise<Reply> {
  const { headers = {}, body } = options
  const length =
    body === undefined || 'Transfer-Encoding' in headers ? {} : { 'Content-Length': Buffer.byteLength(body) }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: { ...length, ...headers },
      agent: false,
    })
    request.on('response', resolve).on('error', reject)
    request.end(body)
  })
  const text = await readText(response)
  const isJson = response.headers['content-type'] === 'application/json' && text !== ''
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : null,
  }
}

const offsets = new WeakMap<Pool, bigint>()

/** Stores one record for each id, in one slice, and starts the first attempt of the first `room` of them. */
export async function store(
  pool: Pool,
  ids: readonly string[],
  {
    room = 0,
    rejection = null as string | null,
    headers = null as DecodedRecord['headers'],
    key = null as Buffer | null,
    amount = '10.10',
  } = {},
): Promise<Claim[]> {
  const from = offsets.get(pool) ?? 0n
  const next = from + BigInt(ids.length)
  const records = ids.map((id, at) => ({
    ...toRecord(id, from + BigInt(at), rejection, amount),
    headers,
    key,
  }))
  const slice = {
    topic: 'transactions.incoming',
    partition: 0,
    incarnation: 1,
    first: from,
    next,
    records,
    holes: [],
  }
  const answer = await ingest(pool, slice, {
    actor: 'instance-1',
    lane: 'instance-1/fresh',
    room,
    leaseMs: 60_000,
  })
  if (answer.kind !== 'stored') throw new Error(answer.kind)
  offsets.set(pool, next)
  return answer.claims
}

/** Stores transactions and has the processor refuse them. */
export async function storeDeadLetters(pool: Pool, ids: readonly string[]): Promise<void> {
  await storeAttempted(pool, ids, {
    outcome: { kind: 'refused', statusCode: 422, reason: 'HTTP 422' },
    decision: { then: 'dead_letter', sparedDelayMs: null },
    verdict: 'refusal',
  })
}

/** Stores a dead letter that may have been carried out. */
export async function storeInDoubt(pool: Pool, id: string): Promise<void> {
  await storeAttempted(pool, [id], {
    outcome: { kind: 'unknown', statusCode: 500, reason: 'HTTP 500', answer: { isRetried: false } },
    decision: { then: 'dead_letter', sparedDelayMs: null },
    verdict: 'refusal',
  })
}

/** Stores transactions and has the processor accept them, and call them all so. */
export async function storeSuccesses(
  pool: Pool,
  ids: readonly string[],
  reference: string | null = null,
): Promise<void> {
  await storeAttempted(pool, ids, {
    outcome: {
      kind: 'accepted',
      statusCode: 200,
      reference: reference === null ? null : { text: reference },
    },
    decision: { then: 'success' },
    verdict: 'success',
  })
}

async function storeAttempted(
  pool: Pool,
  ids: readonly string[],
  ended: Pick<Settlement, 'outcome' | 'decision' | 'verdict'>,
): Promise<void> {
  const claims = await store(pool, ids, { room: ids.length })
  const answers = await settle(
    pool,
    'instance-1/fresh',
    claims.map((claim) => ({ ...claim, ...ended, durationMs: 1 })),
  )
  if (!answers.every((each) => each === 'appended')) throw new Error(answers.join())
}

function toRecord(id: string, offset: bigint, rejection: string | null, amount: string): DecodedRecord {
  const payload = Buffer.from(JSON.stringify({ transaction_id: id, amount }))
  return {
    offset,
    timestampMs: 1_700_000_000_000n,
    key: null,
    headers: null,
    traceparent: null,
    payload,
    payloadState: 'whole',
    payloadBytes: payload.length,
    sha256: createHash('sha256').update(payload).digest(),
    isJson: true,
    transactionId: id,
    rejection,
  }
}
