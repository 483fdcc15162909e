import type { Pool } from 'pg'
import type { Decision } from '../../message/decide.ts'
import type { MessageId, TransactionId } from '../../message/message.ts'
import { int4Array, int8Array, timestamptzArray } from './binary-array.ts'
import type { AttemptName } from './claim.ts'
import type { Lease } from './lease.ts'
import { delayOf } from './settle.ts'

/** An attempt whose lease has ended with no outcome. */
export type Expired = AttemptName & {
  /** The instance and lane that hold it. */
  holder: string
  /** Whether that instance has a LISTEN session on the server: it runs, or is frozen. */
  isListening: boolean
  retries: number
  /** Whether the attempt before it was abandoned too. */
  inARow: boolean
}

/** Finds attempts whose lease may be taken over, oldest first, without those of the instances that are spared. */
export async function findExpired(
  database: Pool,
  lease: Lease,
  lookFrom: string,
  rowsMax: number,
  spared: readonly string[] = [],
): Promise<Expired[]> {
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
      from expired($1, $2, $3, $4, $5)`,
    values: [lease.reconnectedAt, lease.graceMs, lookFrom, rowsMax, spared],
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

/** Ends each of these attempts as abandoned if it is still open and its lease still ended; says which were. */
export async function abandon(
  database: Pool,
  actor: string,
  abandonments: readonly { expired: Expired; decision: Decision }[],
  lease: Lease,
): Promise<boolean[]> {
  const { rows } = await database.query<{ answers: string[] }>({
    name: 'abandon',
    text: 'select abandon($1, $2, $3, $4, $5, $6, $7) as answers',
    values: [
      actor,
      int8Array(abandonments.map((each) => BigInt(each.expired.messageId))),
      int4Array(abandonments.map((each) => each.expired.attempt)),
      timestamptzArray(abandonments.map((each) => each.expired.leaseEndsAt)),
      int8Array(abandonments.map((each) => delayOf(each.decision))),
      lease.reconnectedAt,
      lease.graceMs,
    ],
  })
  return (rows[0]?.answers ?? []).map((answer) => answer === 'appended')
}
