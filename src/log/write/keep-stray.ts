import { createHash } from 'node:crypto'
import type { Pool } from 'pg'
import { timestamptzArray } from './binary-array.ts'
import { cleanText } from './clean-text.ts'
import { referenceOf, roundOrNull, type Settlement } from './settle.ts'

/**
 * Keeps the outcome of an attempt that the log does not know, as evidence for the payment with this id and these bytes. It may be
 * called again with the same outcome.
 *
 * @returns true if the outcome is in that payment's log now; false if it waits until Kafka has handed the payment over again
 */
export async function keepStray(
  database: Pool,
  actor: string,
  settlement: Settlement,
  payload: Buffer,
): Promise<boolean> {
  const { outcome } = settlement
  const { rows } = await database.query<{ placed: boolean }>(
    `select keep_stray(in_actor => $1, in_transaction_id => $2, in_payload_sha256 => $3, in_attempt => $4,
      in_lease_ends_at => ($5::timestamptz[])[1], in_outcome => $6, in_status_code => $7, in_duration_ms => $8,
      in_reason => $9, in_reference => $10) as placed`,
    [
      actor,
      settlement.transactionId,
      createHash('sha256').update(payload).digest(),
      settlement.attempt,
      timestamptzArray([settlement.leaseEndsAt]),
      outcome.kind,
      'statusCode' in outcome ? outcome.statusCode : null,
      roundOrNull(settlement.durationMs),
      'reason' in outcome ? cleanText(outcome.reason) : null,
      referenceOf(outcome),
    ],
  )
  return rows[0]?.placed === true
}
