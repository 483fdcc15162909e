import type { LastRecord } from '../log/write/next-offsets.ts'

/** Where a partition that this member holds stands. Assignment alone writes it, by its verbs. */
export type Place = {
  readonly partition: number
  /**
   * `held`: paused, because the next offset must be read from PostgreSQL first.
   * `stopped`: paused until an operator has decided.
   */
  readonly state: 'reading' | 'held' | 'stopped'
  /** Which life of the topic its offsets count in. */
  readonly incarnation: number
  /** The next offset in PostgreSQL as last heard; null while nothing is stored. */
  readonly next: bigint | null
  /** The last stored record, from which the client begins, until it has shown that the topic is still the one it was. */
  readonly proof: LastRecord | null
  /** What the client was sent back to when it stood above; null once it came from there. */
  readonly sought: bigint | null
  /** Slices in a row that the database failed. */
  readonly failures: number
  /** Refusals in a row of the broker. */
  readonly refusals: number
  /** What the broker refuses it with; null while it does not. */
  readonly refusal: string | null
  /** For how long the broker has said nothing of it although it was asked. */
  readonly silentMs: number
}

/** Of a partition that was just handed over. */
export function newPlace(partition: number): Place {
  return {
    partition,
    state: 'held',
    incarnation: 1,
    next: null,
    proof: null,
    sought: null,
    failures: 0,
    refusals: 0,
    refusal: null,
    silentMs: 0,
  }
}
