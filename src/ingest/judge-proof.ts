import type { FetchedRecord } from '../kafka/answer/read-records.ts'
import type { LastRecord } from '../log/write/next-offsets.ts'
import { hashValue } from './decode.ts'
import type { Fault, Partition } from './explain-stop.ts'
import { explainReplaced } from './explain-stop.ts'

export type Proof =
  /** The topic is the one that was stored from, as far as a record can show. */
  | { kind: 'proven' }
  /** The record is gone, as compaction or a deletion leaves it, and proves nothing. */
  | { kind: 'absent' }
  /** The batch ends before the record. */
  | { kind: 'below' }
  | { kind: 'replaced'; fault: Fault }

/**
 * Holds what the broker has where the last record was stored from against the log. Offsets alone cannot tell a topic that was
 * deleted, created again and filled past the next offset from the one that it took the place of.
 *
 * @param stored the next offset
 * @param batch what was fetched: from which offset, up to which, and the records in their order
 */
export function judgeProof(
  of: Partition,
  last: LastRecord,
  stored: bigint,
  batch: { fetched: bigint; next: bigint; records: readonly Pick<FetchedRecord, 'offset' | 'value'>[] },
): Proof {
  if (batch.fetched > last.offset) return { kind: 'absent' }
  const found = batch.records.find(({ offset }) => BigInt(offset) >= last.offset)
  if (found === undefined) return { kind: batch.next > last.offset ? 'absent' : 'below' }
  if (BigInt(found.offset) > last.offset) return { kind: 'absent' }
  return hashValue(found.value).equals(last.sha256)
    ? { kind: 'proven' }
    : { kind: 'replaced', fault: explainReplaced(of, last.offset, stored) }
}
