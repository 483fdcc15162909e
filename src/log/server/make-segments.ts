import type { Pool } from 'pg'

/**
 * Makes the segments of the log that are needed soon.
 *
 * @param messages how many messages a new segment holds
 * @returns how many segments were made
 */
export async function makeSegments(database: Pick<Pool, 'query'>, messages: number): Promise<number> {
  const { rows } = await database.query<{ made: number }>({
    name: 'make_segments',
    text: 'select make_segments(in_messages => $1) as made',
    values: [messages],
  })
  return rows[0]?.made ?? 0
}
