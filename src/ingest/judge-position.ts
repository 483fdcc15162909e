import type { BrokerRange } from '../kafka/read-range.ts'
import { explainDeleted, explainShortened, type Fault, type Partition } from './explain-stop.ts'

/** What the client handed over, in offsets: it fetched at `fetched`, and the records lie in [first, next). */
export type Fetched = { fetched: bigint; first: bigint; next: bigint; highWatermark: bigint }

export type Judgement =
  /** The batch joins what is stored: take [from, …), of which anything stored already is skipped. */
  | { then: 'take'; from: bigint }
  /** Take nothing, and have the client fetch at the stored next offset. */
  | { then: 'seek' }
  /** Only the broker's range can tell a hole from records that are gone: `judgeRange` follows. */
  | { then: 'ask' }

/**
 * Judges a batch against the next offset in PostgreSQL, which alone is the truth. The client's place can lie above it, because
 * it passes over what it filtered out and starts anew at the earliest offset when it fell out of range, both without a word;
 * so it is sent back once, and believed when it comes above again.
 *
 * @param stored null while nothing of the partition is stored: then the batch defines its start
 * @param sought the offset it was already sent back to, with no other seek and no join since
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
 * Whether the stored next offset lies in what the broker has. If it does, offsets from there to the first record are a hole.
 *
 * @returns why the partition must stop; null if it need not
 */
export function judgeRange(of: Partition, stored: bigint, range: BrokerRange): Fault | null {
  if (stored < range.low) return explainDeleted(of, stored, range)
  return stored > range.high ? explainShortened(of, stored, range) : null
}
