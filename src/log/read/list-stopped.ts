import type { Pool } from 'pg'
import { rfc3339 } from './rfc3339.ts'

/** A partition that waits for an operator's decision. `since` is RFC 3339 in UTC with six digits. */
export type StoppedPartition = { topic: string; partition: number; reason: string; since: string }

/** Lists the stopped partitions, by topic and partition. */
export async function listStopped(database: Pick<Pool, 'query'>): Promise<StoppedPartition[]> {
  const { rows } = await database.query<StoppedPartition>({
    name: 'list_stopped',
    text: `select topic, partition, reason, ${rfc3339('since')} as since
      from stopped_partitions order by topic, partition`,
  })
  return rows
}
