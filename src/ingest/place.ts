import type { Beginning } from '../kafka/read-begun.ts'
import type { LastRecord } from '../log/write/next-offsets.ts'

/** Where a partition that this member holds stands. Only Assignment writes it, by its methods. */
export type Place = {
  readonly partition: number
  /**
   * `held`: paused, because the next offset must be read from PostgreSQL first.
   * `stopped`: paused until an operator has decided.
   */
  readonly state: 'reading' | 'held' | 'stopped'
  /** The incarnation of the topic in which its offsets count. */
  readonly incarnation: number
  /** The next offset in PostgreSQL, as last read; null while nothing is stored. */
  readonly next: bigint | null
  /** Where this log began with it; null while that is not known. */
  readonly begins: Beginning | null
  /**
   * The last stored record. kafkajs fetches from it until a batch has shown that the topic is still the same;
   * then null.
   */
  readonly proof: LastRecord | null
  /** Whether its leader may be another than the one that handed over what is stored: then `proof` is read again. */
  readonly isProofDue: boolean
  /**
   * The offset that kafkajs was sent back to when it was above `next`; null once kafkajs fetched from there.
   */
  readonly sought: bigint | null
  /** How many times in a row the database failed to store a slice. */
  readonly failures: number
  /** How many times in a row the broker refused the partition. */
  readonly refusals: number
  /** The broker's error; null while the broker does not refuse. */
  readonly refusal: string | null
  /** For how long the broker has been asked for the partition without an answer. */
  readonly silentMs: number
  /** What that was when the broker last held this client back by a quota; null if it has not. */
  readonly heldBackMs: number | null
}

/** The place of a partition that was just assigned. */
export function newPlace(partition: number, begins: Beginning | null = null): Place {
  return {
    partition,
    state: 'held',
    incarnation: 1,
    next: null,
    begins,
    proof: null,
    isProofDue: false,
    sought: null,
    failures: 0,
    refusals: 0,
    refusal: null,
    silentMs: 0,
    heldBackMs: null,
  }
}
