import { createHash } from 'node:crypto'
import pg from 'pg'
import type { Test } from 'tap'
import type { ServerWatch } from '../../src/log/server/server-watch.ts'
import type { AttemptName, Claim } from '../../src/log/write/to-claim.ts'
import { ingest, type DecodedRecord, type IngestAnswer } from '../../src/log/write/ingest.ts'
import type { Lease } from '../../src/log/write/lease.ts'
import { look, type Look, type LookFrom } from '../../src/log/write/look.ts'
import { settle as settleNamed, type SettleAnswer, type Settlement } from '../../src/log/write/settle.ts'
import type { Decision } from '../../src/message/decide.ts'
import type { LaneName, MessageId, TransactionId } from '../../src/message/message.ts'
import type { Outcome } from '../../src/message/outcome.ts'
import { judge } from '../../src/message/verdict.ts'
import { holdsNothing } from '../support/flowing.ts'

export const topic = 'incoming'
export const actor = 'ingest-1'
export const fresh = 'instance-1/fresh'
export const retry = 'instance-1/retry'

/** Leases end by their own time only: no outage, no grace. */
export const noGrace: Lease = { leaseMs: 60_000, graceMs: 0, reconnectedAt: '-infinity' }

export const accepted: Outcome = { kind: 'accepted', statusCode: 200 }
export const unavailable = {
  kind: 'unavailable',
  statusCode: 503,
  reason: 'HTTP 503',
  retryAfterMs: null,
} satisfies Outcome
export const refused: Outcome = { kind: 'refused', statusCode: 400, reason: 'HTTP 400' }
export const unknown: Outcome = { kind: 'unknown', statusCode: null, reason: 'timeout, sent, no answer' }

export const retryAtOnce: Decision = { then: 'retry', delayMs: 0 }
export const deadLetter: Decision = { then: 'dead_letter', sparedDelayMs: null }
/** What follows the failure that used up the last retry. */
export const exhausted: Decision = { then: 'dead_letter', sparedDelayMs: 60_000 }

/** A record as `decode` would hand it over; the value is a JSON object with the id and `bytes`. */
export function record(
  offset: number,
  transactionId: string,
  changes: Partial<DecodedRecord> & { bytes?: string } = {},
): DecodedRecord {
  const { bytes = 'first', ...others } = changes
  const payload = others.payload ?? Buffer.from(JSON.stringify({ transaction_id: transactionId, bytes }))
  return {
    offset: BigInt(offset),
    timestampMs: null,
    key: null,
    headers: null,
    traceparent: null,
    payload,
    payloadState: 'whole',
    payloadBytes: payload.length,
    sha256: createHash('sha256').update(payload).digest(),
    isJson: true,
    transactionId,
    rejection: null,
    ...others,
  }
}

/** A record without an identity, as `decode` would hand it over. */
export function rejectedRecord(offset: number, value: string, partition = 0): DecodedRecord {
  const payload = Buffer.from(value)
  return record(offset, `record:${topic}:${partition}:${offset}`, {
    payload,
    payloadBytes: payload.length,
    isJson: false,
    rejection: 'The value is not JSON.',
  })
}

// Every slice comes from a partition of its own unless the test says otherwise, and every message has an id of its own.
let partitions = 0
let names = 0

export function newName(): string {
  names++
  return `tx-${names}`
}

/** Stores records that stand in a partition without a hole, from the first one's offset on. */
export async function store(
  database: pg.Pool,
  records: DecodedRecord[],
  { partition = ++partitions, room = 0, lane = fresh, leaseMs = 60_000 } = {},
): Promise<Extract<IngestAnswer, { kind: 'stored' }>> {
  const from = records[0]!.offset
  const slice = {
    topic,
    partition,
    incarnation: 1,
    first: from,
    next: from + BigInt(records.length),
    records,
    holes: [],
  }
  const answer = await ingest(database, slice, { actor, lane, room, leaseMs })
  if (answer.kind !== 'stored') throw new Error(`ingest answered ${answer.kind}`)
  return answer
}

/** New messages with their first attempt open for `fresh`, in the order of their ids. A lease of 0 has ended already. */
export async function openAttempts(database: pg.Pool, count = 1, leaseMs = 60_000): Promise<MessageId[]> {
  return (await openClaims(database, count, leaseMs)).map((claim) => claim.messageId)
}

/** The same, as their lane holds them. */
export async function openClaims(database: pg.Pool, count = 1, leaseMs = 60_000): Promise<Claim[]> {
  const records = Array.from({ length: count }, (_, at) => record(at, newName()))
  return (await store(database, records, { room: count, leaseMs })).claims
}

/** One new message with its first attempt open for `fresh`. */
export async function openAttempt(database: pg.Pool, leaseMs = 60_000): Promise<MessageId> {
  const [messageId] = await openAttempts(database, 1, leaseMs)
  return messageId!
}

/** One new message that is pending. */
export async function pendingMessage(database: pg.Pool): Promise<MessageId> {
  const name = newName()
  await store(database, [record(0, name)])
  return idOf(database, name)
}

/** Starts the next attempt of one message, as the owner and not by a look, so that a test leaves the others alone. */
export async function startAttempt(database: pg.Pool, messageId: MessageId, as: string): Promise<void> {
  await database.query(
    `insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt)
     select message_id, version + 1, greatest(current_position(), position), clock_timestamp(), 'attempt_started', $2,
       'processing', retry_count, clock_timestamp() + interval '1 minute', attempts + 1
     from message_states where message_id = $1`,
    [messageId, as],
  )
}

export async function lookOnce(
  database: pg.Pool,
  lane: LaneName,
  {
    as = `instance-1/${lane}`,
    room = 100,
    lease = noGrace,
    lookFrom = {},
    keyWindowMs = null,
    inquires = false,
  }: {
    as?: string
    room?: number
    lease?: Lease
    lookFrom?: LookFrom
    keyWindowMs?: number | null
    inquires?: boolean
  } = {},
): Promise<Look> {
  return look(database, {
    lane,
    actor: as,
    room: { all: room, slow: room },
    lease,
    lookFrom,
    withLeases: lane === 'retry',
    doubt: {
      keyWindowMs,
      inquires,
    },
  })
}

/** A settlement whose attempt is named by its number alone; `settle` asks the log for the rest. */
export type ShortSettlement = Omit<Settlement, 'transactionId' | 'leaseEndsAt'>

export function settlement(
  messageId: MessageId,
  attempt: number,
  outcome: Outcome,
  decision: Decision = outcome.kind === 'accepted' ? { then: 'success' } : retryAtOnce,
): ShortSettlement {
  return {
    messageId,
    attempt,
    outcome,
    durationMs: 12,
    decision,
    verdict: judge(outcome, true, holdsNothing),
  }
}

/** Settles attempts as the log names them; of one that it does not know, payment and lease are made up. */
export async function settle(
  database: pg.Pool,
  as: string,
  settlements: readonly ShortSettlement[],
): Promise<SettleAnswer[]> {
  const named: Settlement[] = []
  for (const each of settlements) named.push({ ...each, ...(await nameAttempt(database, each)) })
  return settleNamed(database, as, named)
}

async function nameAttempt(
  database: pg.Pool,
  { messageId, attempt }: Pick<AttemptName, 'messageId' | 'attempt'>,
): Promise<AttemptName> {
  const { rows } = await database.query<{ transaction_id: string; lease: string }>(
    `select f.transaction_id, lease_micros(e.due_at) as lease
     from public.message_events e join public.message_events f on f.message_id = e.message_id and f.version = 1
     where e.message_id = $1 and e.attempt = $2 and e.type = 'attempt_started'`,
    [messageId, attempt],
  )
  const transactionId = (rows[0]?.transaction_id ?? 'unknown') as TransactionId
  return { messageId, transactionId, attempt, leaseEndsAt: BigInt(rows[0]?.lease ?? 0) }
}

/** A server that is never another one. */
export const sameServer: Pick<ServerWatch, 'change' | 'see' | 'recognize'> = {
  change: null,
  see: () => undefined,
  recognize: () => Promise.resolve(),
}

export async function settleOne(
  database: pg.Pool,
  as: string,
  ...one: Parameters<typeof settlement>
): Promise<SettleAnswer> {
  const [answer] = await settle(database, as, [settlement(...one)])
  return answer!
}

export async function idOf(database: pg.Pool, transactionId: string): Promise<MessageId> {
  const { rows } = await database.query<{ message_id: string }>(
    'select message_id from inbox where transaction_id = $1',
    [transactionId],
  )
  if (rows[0] === undefined) throw new Error(`the inbox has no ${transactionId}`)
  return rows[0].message_id as MessageId
}

/** The types of a message's events, in version order. */
export async function typesOf(database: pg.Pool, messageId: MessageId): Promise<string[]> {
  const { rows } = await database.query<{ type: string }>(
    'select type from message_events where message_id = $1 order by version',
    [messageId],
  )
  return rows.map((row) => row.type)
}

export type State = {
  transaction_id: string
  version: number
  status: string
  retry_count: number
  attempts: number
  due_at: Date | null
  lease_ends_at: Date | null
  queue: string | null
  claimed_by: string | null
  error_message: string | null
  outcome_unknown: boolean
  created_at: Date
  updated_at: Date
  recorded_at: Date
}

export async function stateOf(database: pg.Pool, messageId: MessageId): Promise<State> {
  const { rows } = await database.query<State>('select * from message_states where message_id = $1', [
    messageId,
  ])
  if (rows[0] === undefined) throw new Error(`message ${messageId} has no state`)
  return rows[0]
}

/** A pool of one connection, so that `begin`, calls of our own functions and `commit` can be interleaved by hand. */
export async function session(
  t: Pick<Test, 'teardown'>,
  url: string,
): Promise<{ database: pg.Pool; pid: number }> {
  const database = new pg.Pool({ connectionString: url, max: 1 })
  database.on('error', () => undefined)
  t.teardown(() => database.end())
  const { rows } = await database.query<{ pid: number }>('select pg_backend_pid() as pid')
  return { database, pid: rows[0]!.pid }
}

/** Resolves once the session waits for a lock of the other one; fails if it goes on without. */
export async function waitsFor(
  database: pg.Pool,
  waiting: { pid: number },
  holder: { pid: number },
  act: Promise<unknown>,
): Promise<void> {
  const ended = new AbortController()
  const end = (): void => ended.abort()
  act.then(end, end)
  while (!ended.signal.aborted) {
    const { rows } = await database.query<{ blocked: boolean }>(
      'select $2::int = any (pg_blocking_pids($1::int)) as blocked',
      [waiting.pid, holder.pid],
    )
    if (rows[0]?.blocked === true) return
  }
  throw new Error('it did not wait for the lock')
}
