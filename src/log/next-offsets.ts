import type { Pool } from 'pg'

/** Where each known partition of a topic stands (null: nothing is stored yet), and why it is stopped if it is. */
export async function readNextOffsets(
  database: Pool,
  topic: string,
): Promise<Map<number, { nextOffset: bigint | null; stopped: string | null }>> {
  const { rows } = await database.query<{
    partition: number
    next_offset: string | null
    stopped: string | null
  }>({
    name: 'next_offsets',
    text: `select p.partition, a.next_offset, s.reason as stopped
      from partitions p
      left join lateral (
        select next_offset from partition_advances where partition_id = p.partition_id order by next_offset desc limit 1
      ) a on true
      left join stopped_partitions s on s.topic = p.topic and s.partition = p.partition
      where p.topic = $1`,
    values: [topic],
  })
  return new Map(
    rows.map((row) => [
      row.partition,
      { nextOffset: row.next_offset === null ? null : BigInt(row.next_offset), stopped: row.stopped },
    ]),
  )
}
