import type { Pool } from 'pg'
import { cleanText } from './clean-text.ts'
import { namedCall } from './named-call.ts'

/** What stops a partition, and where it stood when the cause was found. */
export type PartitionStop = {
  topic: string
  partition: number
  incarnation: number
  /** The next offset; if nothing is stored yet, the first offset that could not be read. */
  next: bigint
  /** The offset where it would go on if an operator gives up what stops it; null if that is not known. */
  resume: bigint | null
  reason: string
}

/**
 * Stops a partition for all instances until an operator decides. Stopping a stopped partition changes nothing.
 *
 * @returns true if the partition is stopped now; false if it no longer stands at `next`
 */
export async function stopPartition(database: Pool, stop: PartitionStop, actor: string): Promise<boolean> {
  const { topic, partition, incarnation, next, resume, reason } = stop
  const call = namedCall('stop_partition', {
    in_topic: topic,
    in_partition: partition,
    in_incarnation: incarnation,
    in_next: next,
    in_resume: resume,
    in_reason: cleanText(reason),
    in_actor: actor,
  })
  const { rows } = await database.query<{ stopped: boolean }>(`select ${call.text} as stopped`, call.values)
  return rows[0]?.stopped === true
}
