import type { ClientBase, Pool } from 'pg'

/** Any connection, or any one of a pool's. */
export type Asked = Pick<Pool, 'query'> | Pick<ClientBase, 'query'>

/** The latest change of the server that the log is on. */
export type ServerChange = {
  /** The name of this change. It also stands for the server that the log is on now. */
  readonly change: string
  readonly epoch: number
  readonly timeline: number
  /** Null if the log began on this server. */
  readonly fromTimeline: number | null
  /** By how many positions the log ended before what had been seen in it; 0 also if this is not known. */
  readonly lostPositions: bigint
}

/**
 * Asks which server the log is on. It records a change of the server that nobody has recorded yet.
 *
 * @param change the change that the caller knows; null if it knows none
 * @param seen the highest position that the caller has seen since this change; null if it has seen none
 * @returns null if the log came from an older cluster and has no change: an operator must begin an epoch first (`npm run epoch`)
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
