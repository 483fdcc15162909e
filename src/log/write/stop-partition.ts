import type { Pool } from 'pg'
import { cleanText } from './clean-text.ts'
import { namedCall } from './named-call.ts'

/** What stops a partition, and where it stood when that was seen. */
export type PartitionStop = {
  topic: string
  partition: number
  incarnation: number
  /** The next offset; where nothing is stored yet, the first one that could not be had. */
  next: bigint
  /** Where it would go on if what stops it were given up; null where that is not known. */
  resume: bigint | null
  reason: string
}

/**
 * Stops a partition for every instance until an operator decides. Stopping a stopped one changes nothing.
 *
 * @returns whether it is stopped now; false if it has moved on since it was seen to stand there
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
