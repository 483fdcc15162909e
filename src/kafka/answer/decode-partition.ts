import { setImmediate as turn } from 'node:timers/promises'
import { createEndMarker } from './end-marker.ts'
import { headerBytes, readBatchHeader } from './batch-header.ts'
import { readBatchRecords } from './read-batch.ts'
import type { FetchedRecord } from './read-records.ts'
import { AbortedTransactions } from './skip-aborted.ts'
import { splitRecords, type BatchPlace, type FetchedPartition } from './split-answer.ts'

/** What an answer may still unpack to. A batch is decoded as long as something is left, so it can end a batch below zero. */
export type Budget = { bytes: number; records: number }

/** Its offsets are [first, next). */
export type Failure = { first: bigint; next: bigint; error: unknown }

export type DecodedPartition = {
  records: FetchedRecord[]
  /** The first batch, if it cannot be decoded; one behind others is met again when those are read. */
  failure: Failure | null
}

/** Decodes batches of the formats from before Kafka 0.11. */
export type DecodeOld = (partition: FetchedPartition, records: Buffer) => Promise<FetchedRecord[]>

const oldMagicMax = 1
const longBytes = 1024 * 1024

/** Decodes a partition's record batches, up to one that cannot be, or to the end of the budget: the rest is fetched again. */
export async function decodePartition(
  partition: FetchedPartition,
  budget: Budget,
  decodeOld: DecodeOld,
): Promise<DecodedPartition> {
  const aborted = new AbortedTransactions(partition.aborted)
  const places = splitRecords(partition.records)
  const records: FetchedRecord[] = []
  let last: bigint | null = null
  for (const place of places) {
    if (budget.bytes <= 0 || budget.records <= 0) break
    try {
      const decoded = await decodeBatch(partition, place, aborted, decodeOld)
      // A batch can have more records than a call has room for arguments.
      for (const record of decoded.records) records.push(record)
      last = decoded.last
      budget.bytes -= decoded.bytes
      budget.records -= decoded.records.length
      // Unpacking ten mebibytes takes a tenth of a second; what waits for its turn meanwhile gets it.
      if (decoded.bytes > longBytes) await turn()
    } catch (error) {
      if (last === null)
        return { records, failure: { first: place.firstOffset, next: place.nextOffset, error } }
      break
    }
  }
  const end = records.at(-1)
  const first = places[0]?.firstOffset
  if (last !== null && first !== undefined && (end === undefined || BigInt(end.offset) < last))
    records.push(createEndMarker(first, last))
  return { records, failure: null }
}

async function decodeBatch(
  partition: FetchedPartition,
  place: BatchPlace,
  aborted: AbortedTransactions,
  decodeOld: DecodeOld,
): Promise<{ records: FetchedRecord[]; last: bigint; bytes: number }> {
  const batch = partition.records.subarray(place.start, place.end)
  if (place.magic <= oldMagicMax) {
    const records = await decodeOld(partition, batch)
    const last = BigInt(records.at(-1)?.offset ?? place.firstOffset)
    return { records, last, bytes: batch.length }
  }
  const header = readBatchHeader(batch)
  if (aborted.skips(header, batch.subarray(headerBytes))) return { records: [], last: header.last, bytes: 0 }
  return { ...(await readBatchRecords(batch, header)), last: header.last }
}
