import type { Pool } from 'pg'
import { toClaim, type Claim, type ClaimRow } from './to-claim.ts'

/**
 * Lists the attempts that a lane holds according to the log.
 *
 * @returns `startedMsAgo`: milliseconds since the attempt was started, by the database's clock
 */
export async function findOpenAttempts(
  database: Pool,
  actor: string,
): Promise<{ claim: Claim; startedMsAgo: number }[]> {
  const { rows } = await database.query<ClaimRow & { started_ms_ago: number }>({
    name: 'open_attempts',
    text: `select message_id, attempt, retry_count, transaction_id, payload, traceparent, age_ms, lease_ends_at,
        started_ms_ago
      from open_attempts($1)`,
    values: [actor],
  })
  return rows.map((row) => ({ claim: toClaim(row), startedMsAgo: row.started_ms_ago }))
}
