import { codecs } from '../unpack/register-codecs.ts'
import { headerBytes, type BatchHeader } from './batch-header.ts'
import { checkCount, readRecords, type FetchedRecord } from './read-records.ts'

const codecMask = 0x07

/**
 * Unpacks and reads a batch's records. Time and memory are bounded by the batch's size and the codecs' limit.
 *
 * @throws an Error that says why the batch cannot be decoded
 */
export async function readBatch(
  batch: Buffer,
  header: BatchHeader,
): Promise<{ records: FetchedRecord[]; bytes: number }> {
  // Compaction keeps a producer's last batch even when all its records are gone.
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
