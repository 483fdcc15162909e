import type { Claim } from '../log/write/to-claim.ts'

/**
 * The port through which ingest hands first attempts to the fresh lane. Ingest does not import the lane;
 * `src/service.ts` connects the two. While the lane's last look left due work behind, the lane gives no room, so that new
 * records never overtake a backlog.
 */
export type FreshLane = {
  /**
   * Reserves room for up to `max` attempts until the reservation ends. A lane without a backlog may wait a
   * moment for room.
   */
  reserve(max: number): Reservation | Promise<Reservation>
}

/** Exactly one of the three methods must be called to end it. */
type Reservation = {
  readonly room: number
  /**
   * The database transaction is committed: these attempts are open in the log and now belong to the lane.
   * Unused room is given back.
   */
  start(claims: readonly Claim[]): void
  /** Nothing was committed: all room is given back. */
  release(): void
  /**
   * The answer to the commit was lost: the log may have open attempts that no lane runs. The lane must look
   * for them.
   */
  loseAnswer(): void
}
