import type { Pool } from 'pg'
import type { DecisionCause, DestinationState } from '../write/advance-destination.ts'
import { rfc3339 } from './rfc3339.ts'

/** How a destination stands for all instances. Times are RFC 3339 in UTC with six digits. */
export type DestinationStanding = {
  name: string
  /** The number of its last decision; 0 before the first one. */
  decision: number
  state: DestinationState
  /** Of the decision that began the state, as are actor and reason; null before the first one. */
  cause: DecisionCause | null
  /** When the state began. Before the first decision: when the first instance started. */
  since: string
  actor: string | null
  reason: string | null
  /** When a pause ends by itself; null if it does not, or if there is none. */
  until: string | null
  /** When the next probe may start; null unless the destination is held. */
  nextProbeAt: string | null
  /** Attempts a second over all instances, and how many at once; null if there is no limit. */
  rateLimit: number | null
  rateBurst: number | null
  /** Attempts a second that a processor gets that asked for less; null if it did not. */
  throttledRate: number | null
  /** No attempt starts before; null if that is over. */
  notBefore: string | null
  /** Failures in a row that speak of the destination, since the state began. */
  failures: number
  /** How many messages wait (pending and failed), in decimal digits; 0 while it flows. */
  held: string
}

/** Reads how these destinations stand, by name, all in one snapshot. Names that are not known are left out. */
export async function readDestinations(
  database: Pick<Pool, 'query'>,
  names: readonly string[],
): Promise<DestinationStanding[]> {
  const { rows } = await database.query<DestinationStanding>({
    name: 'read_destinations',
    text: `select d.destination as name, d.decision, d.state, d.cause, l.actor, l.reason,
        ${rfc3339('coalesce(d.since, (select min(i.started_at) from instances i), clock_timestamp())')} as since,
        ${rfc3339('d.until')} as until,
        ${rfc3339('d.next_probe_at')} as "nextProbeAt",
        d.rate_limit as "rateLimit", d.rate_burst as "rateBurst", throttled_rate(d, clock_timestamp()) as "throttledRate",
        ${rfc3339('case when d.not_before > clock_timestamp() then d.not_before end')} as "notBefore",
        d.failures,
        case when d.state = 'flowing' then 0 else (select c.pending + c.failed from status_counts() c) end as held
      from destinations d
      left join destination_decisions l on l.destination = d.destination and l.decision = d.state_decision
      where d.destination = any($1::text[])
      order by d.destination`,
    values: [names],
  })
  return rows
}

/** Reads how one destination stands; null if there is none of this name. */
export async function readDestination(
  database: Pick<Pool, 'query'>,
  name: string,
): Promise<DestinationStanding | null> {
  const [standing] = await readDestinations(database, [name])
  return standing ?? null
}
