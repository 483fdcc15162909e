import type { Pool } from 'pg'
import type { LaneName, MessageId, Status, TransactionId } from '../../message/message.ts'
import { toClaim, type Claim, type ClaimRow } from './to-claim.ts'
import type { DestinationState } from './advance-destination.ts'
import type { Inquiry } from './inquiry.ts'
import type { Lease } from './lease.ts'

/** What one look of a lane found. */
export type Look = {
  claims: Claim[]
  /** What the processor is to be asked about in place of an attempt. */
  inquiries: Inquiry[]
  /** What became a dead letter in place of an attempt. */
  forgotten: Forgotten[]
  /**
   * Milliseconds until the earliest message or lease that was asked for is due, by the database's clock; null if none. No message is due
   * before the destination lets it through.
   */
  dueInMs: number | null
  /** The same of the earliest lease alone; null also if leases were not asked for. */
  leaseEndsInMs: number | null
  /** Whether a lease may be taken over now. */
  expired: boolean
  /** Where to look from next time, by status. */
  lookFrom: LookFrom
  /** The position of the last event that can be seen. */
  lastPosition: bigint
  /** The destination as the claims found it: its state, and which decision that is. */
  destination: { state: DestinationState; decision: number }
  /** If something is due that the pace of the destination holds up: in how many milliseconds it may start. Null if nothing is. */
  slotInMs: number | null
}

/**
 * `keyWindowMs`: for how long after its first attempt a message in doubt may be sent again; null for ever. `inquires`: whether the
 * processor can be asked about it before.
 */
export type DoubtPolicy = { readonly keyWindowMs: number | null; readonly inquires: boolean }

/** A message in doubt, whose key the processor may have forgotten. `attempt` was its last one. */
export type Forgotten = { transactionId: TransactionId; attempt: number }

/** How many attempts a lane may start. Of them, `slow` may be retries of messages whose last attempt was slow. */
type Room = { readonly all: number; readonly slow: number }

/** A lower bound of due_at for each status a lane waits on: nothing waits below it. It spares re-reading dead index entries. */
export type LookFrom = Readonly<Partial<Record<Status, string>>>

// Bounds what one look brings into memory; one larger payload still comes alone.
const bytesMax = 4 * 1024 * 1024

const statement = {
  name: 'look_lane',
  text: `select kind, message_id, attempt, retry_count, transaction_id, payload, traceparent, age_ms, lease_ends_at,
      is_slow, status, due_in_ms, next_look_from, last_position
    from look_lane(in_status => $1, in_actor => $2, in_room => $3, in_slow_room => $4, in_bytes_max => $5, in_lease_ms => $6,
      in_statuses => $7, in_look_from => $8, in_reconnected_at => $9, in_grace_ms => $10,
      in_key_window_ms => $11, in_inquires => $12)`,
}

export type LookOptions = {
  lane: LaneName
  actor: string
  room: Room
  lease: Lease
  lookFrom: LookFrom
  /** Whether to read the earliest lease too, of all lanes and instances. */
  withLeases: boolean
  /** Left out, a message in doubt may be sent again for ever, and is not asked about. */
  doubt?: DoubtPolicy
}

/**
 * Starts an attempt for each due message of a lane, oldest first, at most `room`, and reads when to look next. What it
 * claims is committed when it returns; nothing has been sent yet.
 */
export async function look(database: Pool, options: LookOptions): Promise<Look> {
  const { rows } = await database.query<LookRow>({ ...statement, values: encode(options) })
  return readRows(rows, options.lookFrom)
}

function encode({ lane, actor, room, lease, lookFrom, withLeases, doubt }: LookOptions): unknown[] {
  const claimed = lane === 'fresh' ? 'pending' : 'failed'
  const statuses: Status[] = withLeases ? [claimed, 'processing'] : [claimed]
  return [
    claimed,
    actor,
    room.all,
    room.slow,
    bytesMax,
    lease.leaseMs,
    statuses,
    statuses.map((status) => lookFrom[status] ?? '-infinity'),
    lease.reconnectedAt,
    lease.graceMs,
    doubt?.keyWindowMs ?? null,
    doubt?.inquires ?? false,
  ]
}

function readRows(rows: readonly LookRow[], lookFrom: LookFrom): Look {
  const destination = rows.find((row) => row.kind === 'destination')
  if (destination === undefined) throw new Error('look_lane() did not tell of the destination')
  const isProbe = destination.status === 'held'
  return {
    claims: rows
      .filter((row) => row.kind === 'claim')
      .map((row) => ({ ...toClaim(row), isProbe, isSlow: row.is_slow })),
    inquiries: rows.filter((row) => row.kind === 'inquiry').map(readInquiry),
    forgotten: rows.filter((row) => row.kind === 'forgotten').map(readForgotten),
    ...readTimers(
      rows.filter((row) => row.kind === 'timer'),
      lookFrom,
    ),
    destination: { state: destination.status, decision: destination.attempt },
    slotInMs: destination.due_in_ms,
  }
}

function readInquiry(row: InquiryRow): Inquiry {
  return {
    messageId: row.message_id as MessageId,
    transactionId: row.transaction_id as TransactionId,
    attempt: row.attempt,
    leaseEndsAt: BigInt(row.lease_ends_at),
    retries: row.retry_count,
    isSlow: row.is_slow,
  }
}

function readForgotten(row: ForgottenRow): Forgotten {
  return { transactionId: row.transaction_id as TransactionId, attempt: row.attempt }
}

/** When to look next, and from where. */
function readTimers(
  timers: readonly TimerRow[],
  lookFrom: LookFrom,
): Pick<Look, 'dueInMs' | 'leaseEndsInMs' | 'expired' | 'lookFrom' | 'lastPosition'> {
  const due = timers.flatMap((row) => row.due_in_ms ?? [])
  const leaseEndsInMs = timers.find((row) => row.status === 'processing')?.due_in_ms ?? null
  return {
    dueInMs: due.length === 0 ? null : Math.min(...due),
    leaseEndsInMs,
    expired: leaseEndsInMs !== null && leaseEndsInMs <= 0,
    lookFrom: { ...lookFrom, ...Object.fromEntries(timers.map((row) => [row.status, row.next_look_from])) },
    lastPosition: BigInt(timers.at(-1)?.last_position ?? 0),
  }
}

/** When a lane is to look again for one status that it waits on. */
type TimerRow = {
  kind: 'timer'
  status: Status
  due_in_ms: number | null
  next_look_from: string
  last_position: string
}
/** How the destination stands. `attempt` is the number of its last decision, `due_in_ms` when a slot is free. */
type DestinationRow = {
  kind: 'destination'
  status: DestinationState
  attempt: number
  due_in_ms: number | null
}
type InquiryRow = Pick<
  ClaimRow,
  'message_id' | 'transaction_id' | 'attempt' | 'lease_ends_at' | 'retry_count'
> & {
  kind: 'inquiry'
  is_slow: boolean
}
type ForgottenRow = { kind: 'forgotten'; transaction_id: string; attempt: number }
type LookRow =
  ({ kind: 'claim'; is_slow: boolean } & ClaimRow) | InquiryRow | ForgottenRow | TimerRow | DestinationRow
