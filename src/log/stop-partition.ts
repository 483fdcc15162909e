import type { Pool } from 'pg'

/** Stops a partition for every instance until an operator decides. Stopping a stopped one changes nothing. */
export async function stopPartition(
  database: Pool,
  topic: string,
  partition: number,
  reason: string,
  actor: string,
): Promise<void> {
  await database.query('select stop_partition($1, $2, $3, $4)', [topic, partition, reason, actor])
}
