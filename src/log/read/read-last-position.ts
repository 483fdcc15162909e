import type { Pool } from 'pg'

/**
 * Reads the highest position of the log, also of events above the watermark; 0 for an empty log. It costs one step at the end of an
 * index.
 */
export async function readLastPosition(database: Pick<Pool, 'query'>): Promise<bigint> {
  const { rows } = await database.query<{ position: string }>({
    name: 'read_last_position',
    text: 'select position from event_positions order by position desc limit 1',
  })
  return BigInt(rows[0]?.position ?? 0)
}
