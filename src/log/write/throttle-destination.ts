import type { Pool } from 'pg'
import { namedCall } from './named-call.ts'

/** What an instance has to tell of a processor that asks for less. */
export type Throttle = {
  /** How long the processor wants to be left alone, in milliseconds; 60 s are kept at most. */
  waitMs: number
  /** How long ago the attempt was sent that was answered so. */
  sentMsAgo: number
  /** How many attempts a second this instance sends. */
  rate: number
  /** The answer, for the log. */
  reason: string
}

/**
 * Notes for all instances that a processor asks for less: no attempt starts for a while, and then fewer a second. Notifies every instance.
 *
 * @throws what pg throws
 */
export async function throttleDestination(
  database: Pick<Pool, 'query'>,
  destination: string,
  actor: string,
  { waitMs, sentMsAgo, rate, reason }: Throttle,
): Promise<void> {
  const call = namedCall('throttle_destination', {
    in_destination: destination,
    in_actor: actor,
    in_reason: reason,
    in_wait_ms: Math.ceil(waitMs),
    in_sent_ms_ago: sentMsAgo,
    in_rate: rate,
  })
  await database.query({ name: 'throttle_destination', text: `select ${call.text}`, values: call.values })
}
