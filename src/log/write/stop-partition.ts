import type { Pool } from 'pg'
import { cleanText } from './clean-text.ts'

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
  const { rows } = await database.query<{ stopped: boolean }>(
    'select stop_partition($1, $2, $3, $4, $5, $6, $7) as stopped',
    [topic, partition, incarnation, next, resume, cleanText(reason), actor],
  )
  return rows[0]?.stopped === true
}
