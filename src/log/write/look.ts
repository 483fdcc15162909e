import type { Pool } from 'pg'
import type { Lane, Status } from '../../message/message.ts'
import { toClaim, type Claim, type ClaimRow } from './claim.ts'
import type { Lease } from './lease.ts'

/** What one look of a lane found. */
export type Look = {
  claims: Claim[]
  /** Milliseconds until the earliest message or lease that was asked for is due, by the database's clock; null if none. */
  dueInMs: number | null
  /** The same of the earliest lease alone; null also if leases were not asked for. */
  leaseEndsInMs: number | null
  /** Whether a lease may be taken over now. */
  expired: boolean
  /** Where to look from next time, by status. */
  lookFrom: LookFrom
  /** The position of the last event that can be seen. */
  lastPosition: bigint
}

/** A lower bound of due_at for each status a lane waits on: nothing waits below it. It spares re-reading dead index entries. */
export type LookFrom = Readonly<Partial<Record<Status, string>>>

// Bounds what one look brings into memory; one larger payload still comes alone.
const bytesMax = 4 * 1024 * 1024

const statement = {
  name: 'look',
  text: `select kind, message_id, attempt, retry_count, transaction_id, payload, traceparent, age_ms, lease_ends_at, status,
      due_in_ms, next_look_from, last_position
    from look(in_status => $1, in_actor => $2, in_room => $3, in_bytes_max => $4, in_lease_ms => $5, in_statuses => $6,
      in_look_from => $7, in_reconnected_at => $8, in_grace_ms => $9)`,
}

/**
 * Starts an attempt for each due message of a lane, oldest first, at most `room`, and reads when to look next. What it
 * claims is committed when it returns; nothing has been sent yet.
 *
 * @param withLeases whether to read the earliest lease too, of all lanes and instances
 */
export async function look(
  database: Pool,
  lane: Lane,
  actor: string,
  room: number,
  lease: Lease,
  lookFrom: LookFrom,
  withLeases: boolean,
): Promise<Look> {
  const claimed = lane === 'fresh' ? 'pending' : 'failed'
  const statuses: Status[] = withLeases ? [claimed, 'processing'] : [claimed]
  const { rows } = await database.query<LookRow>({
    ...statement,
    values: [
      claimed,
      actor,
      room,
      bytesMax,
      lease.leaseMs,
      statuses,
      statuses.map((status) => lookFrom[status] ?? '-infinity'),
      lease.reconnectedAt,
      lease.graceMs,
    ],
  })
  const timers = rows.filter((row) => row.kind === 'timer')
  const due = timers.flatMap((row) => row.due_in_ms ?? [])
  const leaseEndsInMs = timers.find((row) => row.status === 'processing')?.due_in_ms ?? null
  return {
    claims: rows.filter((row) => row.kind === 'claim').map(toClaim),
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
type LookRow = ({ kind: 'claim' } & ClaimRow) | TimerRow
