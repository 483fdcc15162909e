import type { FetchedRecord } from '../kafka/answer/read-records.ts'
import type { LastRecord } from '../log/write/next-offsets.ts'
import { hashValue } from './decode.ts'
import { explainReplaced, type StopFault, type Partition } from './stop-fault.ts'

export type Proof =
  /** The record is the stored one: as far as a record can show, the topic is still the same. */
  | { kind: 'proven' }
  /** The record is gone, through compaction or a deletion, and proves nothing. */
  | { kind: 'absent' }
  /** The batch ends before the record's offset. */
  | { kind: 'below' }
  | { kind: 'replaced'; fault: StopFault }

/**
 * Compares the broker's record at the offset of the last stored record with the log. Offsets alone are not
 * enough: a topic may have been deleted, created again and filled past the next offset.
 *
 * @param batch what was fetched: from which offset, up to which offset, and the records in order
 * @param stored the next offset
 */
export function judgeProof(
  batch: Partition & {
    fetched: bigint
    next: bigint
    records: readonly Pick<FetchedRecord, 'offset' | 'value'>[]
  },
  last: LastRecord,
  stored: bigint,
): Proof {
  if (batch.fetched > last.offset) return { kind: 'absent' }
  const found = batch.records.find(({ offset }) => BigInt(offset) >= last.offset)
  if (found === undefined) return { kind: batch.next > last.offset ? 'absent' : 'below' }
  if (BigInt(found.offset) > last.offset) return { kind: 'absent' }
  return hashValue(found.value).equals(last.sha256)
    ? { kind: 'proven' }
    : { kind: 'replaced', fault: explainReplaced(batch, last.offset, stored) }
}
