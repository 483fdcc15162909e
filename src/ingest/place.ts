import type { LastRecord } from '../log/write/next-offsets.ts'

/** Where a partition that this member holds stands. */
export type Place = {
  readonly partition: number
  /** Which life of the topic its offsets count in. */
  incarnation: number
  /** The next offset in PostgreSQL as last heard; null while nothing is stored. */
  next: bigint | null
  /** The last stored record, from which the client begins, until it has shown that the topic is still the one it was. */
  proof: LastRecord | null
  /** What the client was sent back to when it stood above; null once it came from there. */
  sought: bigint | null
  /** Paused, because the next offset must be read first. */
  held: boolean
  /** Paused until an operator has decided. */
  stopped: boolean
  /** Slices in a row that the database failed. */
  failures: number
  /** Refusals in a row of the broker. */
  refusals: number
  /** What the broker refuses it with; null while it does not. */
  refusal: string | null
  /** For how long the broker has said nothing of it although it was asked. */
  silentMs: number
}

/** Of a partition that was just handed over. */
export function newPlace(partition: number): Place {
  return {
    partition,
    incarnation: 1,
    next: null,
    proof: null,
    sought: null,
    held: true,
    stopped: false,
    failures: 0,
    refusals: 0,
    refusal: null,
    silentMs: 0,
  }
}
