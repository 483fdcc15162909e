import type { Pool } from 'pg'
import type { Decision } from '../../message/decide.ts'
import type { MessageId, TransactionId } from '../../message/message.ts'
import { int4Array, int8Array, timestamptzArray } from './binary-array.ts'
import type { AttemptName } from './to-claim.ts'
import type { Lease } from './lease.ts'
import { namedCall } from './named-call.ts'
import { delayOf, sparedDelayOf } from './settle.ts'

/** An attempt whose lease has ended without an outcome. */
export type Expired = AttemptName & {
  /** The instance and lane that hold it, as `instance/lane`. */
  holder: string
  /** That instance has a LISTEN session on the server: it runs, or it is frozen. */
  isListening: boolean
  retries: number
  /** The attempt before it was abandoned too. */
  inARow: boolean
}

/**
 * Finds attempts whose lease may be taken over, oldest first.
 *
 * @param lookFrom a lower bound of the ends of their leases, in RFC 3339; no attempt with an earlier end is found
 * @param spared instances whose attempts are left out
 */
export async function findExpired(
  database: Pool,
  lease: Lease,
  lookFrom: string,
  rowsMax: number,
  spared: readonly string[] = [],
): Promise<Expired[]> {
  const call = namedCall('expired', {
    in_reconnected_at: lease.reconnectedAt,
    in_grace_ms: lease.graceMs,
    in_look_from: lookFrom,
    in_rows_max: rowsMax,
    in_spared: spared,
  })
  const { rows } = await database.query<{
    message_id: string
    transaction_id: string
    attempt: number
    retry_count: number
    in_a_row: boolean
    lease_ends_at: string
    claimed_by: string
    is_listening: boolean
  }>({
    name: 'expired',
    text: `select message_id, transaction_id, attempt, retry_count, in_a_row, lease_ends_at, claimed_by, is_listening
      from ${call.text}`,
    values: call.values,
  })
  return rows.map((row) => ({
    messageId: row.message_id as MessageId,
    transactionId: row.transaction_id as TransactionId,
    attempt: row.attempt,
    leaseEndsAt: BigInt(row.lease_ends_at),
    holder: row.claimed_by,
    isListening: row.is_listening,
    retries: row.retry_count,
    inARow: row.in_a_row,
  }))
}

/**
 * Ends each of these attempts as abandoned, if it is still open and its lease may still be taken over.
 *
 * @returns for each attempt, in order, whether it was ended; `spared`: while the destination did not flow, so it used up no retry
 */
export async function abandon(
  database: Pool,
  actor: string,
  abandonments: readonly { expired: Expired; decision: Decision }[],
  lease: Lease,
): Promise<AbandonAnswer[]> {
  const call = namedCall('abandon_attempts', {
    in_actor: actor,
    in_message_ids: int8Array(abandonments.map((each) => BigInt(each.expired.messageId))),
    in_attempts: int4Array(abandonments.map((each) => each.expired.attempt)),
    in_leases: timestamptzArray(abandonments.map((each) => each.expired.leaseEndsAt)),
    in_delays_ms: int8Array(abandonments.map((each) => delayOf(each.decision))),
    in_reconnected_at: lease.reconnectedAt,
    in_grace_ms: lease.graceMs,
    in_spared_delays_ms: int8Array(abandonments.map((each) => sparedDelayOf(each.decision))),
  })
  const { rows } = await database.query<{ answers: AbandonAnswer[] }>({
    name: 'abandon_attempts',
    text: `select ${call.text} as answers`,
    values: call.values,
  })
  return rows[0]?.answers ?? []
}

export type AbandonAnswer = 'appended' | 'spared' | 'stale'
