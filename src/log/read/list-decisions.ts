import type { Pool } from 'pg'
import type { DecisionCause, DestinationState } from '../write/advance-destination.ts'
import { rfc3339 } from './rfc3339.ts'

/** A decision about a destination, and the counts that caused it. Times are RFC 3339 in UTC with six digits. */
export type DestinationDecision = {
  destination: string
  /** Counts from 1 for each destination. */
  decision: number
  recordedAt: string
  state: DestinationState
  cause: DecisionCause
  until: string | null
  /** The limit from then on: attempts a second over all instances, and how many at once; null if there was none. */
  rateLimit: number | null
  rateBurst: number | null
  failures: number
  refusals: number
  probes: number
  actor: string
  reason: string
}

/**
 * Lists the decisions about a destination, newest first.
 *
 * @param before only decisions with a lower number; null for all
 */
export async function listDecisions(
  database: Pick<Pool, 'query'>,
  destination: string,
  before: number | null,
  rowsMax: number,
): Promise<DestinationDecision[]> {
  const { rows } = await database.query<DestinationDecision>({
    name: 'list_decisions',
    text: `select destination, decision, ${rfc3339('recorded_at')} as "recordedAt", state, cause, ${rfc3339('until')} as until,
        rate_limit as "rateLimit", rate_burst as "rateBurst", failures, refusals, probes, actor, reason
      from destination_decisions
      where destination = $1 and decision < coalesce($2::int, 2147483647)
      order by decision desc limit $3`,
    values: [destination, before, rowsMax],
  })
  return rows
}
