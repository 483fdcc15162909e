import type { Claim } from '../log/write/claim.ts'

/**
 * The port through which ingest hands first attempts to the fresh lane without importing it; main wires the two. A lane whose
 * last look left something due gives no room, so that new records never overtake a backlog.
 */
export type FreshLane = {
  /** Takes up to `max` places out of the lane until the reservation ends. A lane that keeps up may wait a moment for room. */
  reserve(max: number): Reservation | Promise<Reservation>
}

/** Ends by exactly one of its three verbs. */
type Reservation = {
  readonly room: number
  /** The transaction is committed: these attempts are open in the log and are the lane's now. Unused room goes back. */
  start(claims: readonly Claim[]): void
  /** Nothing was committed: all room goes back. */
  release(): void
  /** The transaction's answer was lost: attempts may be open in the log that nobody holds, and the lane must look for them. */
  doubt(): void
}
