import type { ClientBase, Pool } from 'pg'

/** Any connection, or any one of a pool's. */
export type Asked = Pick<Pool, 'query'> | Pick<ClientBase, 'query'>

/** The latest change of the server below the log. */
export type ServerChange = {
  /** Names it, and so the server that the log is on now. */
  readonly change: string
  readonly epoch: number
  readonly timeline: number
  /** Null if the log began on this server. */
  readonly fromTimeline: number | null
  /** By how much the log ended below what was seen in it; 0 also if nobody could tell. */
  readonly lostPositions: bigint
}

/**
 * Asks which server the log is on, and has a change recorded that nobody has recorded yet.
 *
 * @param change the change that the caller knows, and `seen` the highest position that it has seen since; null for none
 * @returns null for a log from an older cluster, of which an operator must decide first (`npm run epoch`)
 */
export async function recognizeServer(
  database: Asked,
  actor: string,
  change: string | null,
  seen: bigint | null,
): Promise<ServerChange | null> {
  const { rows } = await database.query<Row>(
    'select change, epoch, timeline, from_timeline, lost_positions from recognize_server($1, $2, $3)',
    [actor, change, seen?.toString() ?? null],
  )
  const [row] = rows
  if (row === undefined) return null
  return {
    change: row.change,
    epoch: row.epoch,
    timeline: row.timeline,
    fromTimeline: row.from_timeline,
    lostPositions: BigInt(row.lost_positions),
  }
}

type Row = {
  change: string
  epoch: number
  timeline: number
  from_timeline: number | null
  lost_positions: string
}
