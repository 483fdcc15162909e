import { codecs } from '../unpack/register-codecs.ts'
import { headerBytes, type BatchHeader } from './batch-header.ts'
import { checkCount, readRecords, type FetchedRecord } from './read-records.ts'

const codecMask = 0x07

/** @throws an Error that says why it cannot be decoded; it ends within what its size and the codecs' limit allow */
export async function readBatchRecords(
  batch: Buffer,
  header: BatchHeader,
): Promise<{ records: FetchedRecord[]; bytes: number }> {
  // Compaction leaves a producer's last batch there when all of its records are gone.
  if (header.records === 0) return { records: [], bytes: 0 }
  checkCount(header)
  const bytes = await unpack(batch.subarray(headerBytes), header.attributes & codecMask)
  return { records: readRecords(bytes, header), bytes: bytes.length }
}

async function unpack(packed: Buffer, codec: number): Promise<Buffer> {
  if (codec === 0) return packed
  const found = codecs[codec]
  if (found === undefined) throw new Error(`its codec ${codec} is unknown`)
  return await found().decompress(packed)
}
