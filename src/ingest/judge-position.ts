import type { BrokerRange } from '../kafka/read-range.ts'
import { explainDeleted, explainShortened, type StopFault, type Partition } from './stop-fault.ts'

/** The offsets of a fetched batch: kafkajs fetched from `fetched`, and the records are in [first, next). */
export type Fetched = { fetched: bigint; first: bigint; next: bigint; highWatermark: bigint }

export type Judgement =
  /** The batch follows what is stored: take [from, …). Records that are already stored are skipped. */
  | { then: 'take'; from: bigint }
  /** Take nothing, and fetch from the stored next offset. */
  | { then: 'seek' }
  /** Only the broker's range can tell a hole from lost records: call `judgeRange` next. */
  | { then: 'ask' }

/**
 * Compares a batch with the next offset in PostgreSQL, which alone is the truth. kafkajs' own offset can be
 * above it: kafkajs passes over what it filtered out, and starts again at the earliest offset when its own
 * was out of range. It reports neither. So it is sent back once. If it then comes from above again, the
 * broker is asked.
 *
 * @param stored null while nothing of the partition is stored: then the batch defines where the partition
 *   begins
 * @param sought the offset that kafkajs was already sent back to, if no other seek and no join came since
 */
export function judgePosition(stored: bigint | null, sought: bigint | null, batch: Fetched): Judgement {
  if (stored === null) return { then: 'take', from: batch.fetched }
  if (batch.fetched > stored) return { then: sought === stored ? 'ask' : 'seek' }
  if (batch.highWatermark < stored) return { then: 'ask' }
  if (batch.next <= stored) return { then: 'seek' }
  if (batch.first > stored) return { then: 'ask' }
  return { then: 'take', from: batch.fetched }
}

/**
 * Whether the stored next offset is in the broker's range. If it is, the offsets from there to the first
 * record are a hole.
 *
 * @returns why the partition must stop; null if it need not
 */
export function judgeRange(of: Partition, stored: bigint, range: BrokerRange): StopFault | null {
  if (stored < range.low) return explainDeleted(of, stored, range)
  return stored > range.high ? explainShortened(of, stored, range) : null
}
