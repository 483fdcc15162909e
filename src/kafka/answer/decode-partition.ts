import { setImmediate as turn } from 'node:timers/promises'
import { createEndMarker } from './end-marker.ts'
import { headerBytes, readBatchHeader } from './batch-header.ts'
import { readBatch } from './read-batch.ts'
import type { FetchedRecord } from './read-records.ts'
import { AbortedTransactions } from './aborted-transactions.ts'
import { splitRecords, type BatchSpan, type FetchedPartition } from './split-answer.ts'

/**
 * How much an answer may still unpack to. A batch is decoded while anything is left, so the budget can fall
 * below zero.
 */
export type Budget = { bytes: number; records: number }

/** A batch with the offsets [first, next) that cannot be decoded. */
export type Failure = { first: bigint; next: bigint; error: unknown }

export type DecodedPartition = {
  records: FetchedRecord[]
  /**
   * Set if the first batch cannot be decoded. A later bad batch is met again once the batches before it are
   * read.
   */
  failure: Failure | null
}

/** Decodes batches in the formats before Kafka 0.11. */
export type DecodeOld = (partition: FetchedPartition, records: Buffer) => Promise<FetchedRecord[]>

const oldMagicMax = 1
const longBytes = 1024 * 1024

/**
 * Decodes a partition's record batches until one cannot be decoded or the budget is used up. kafkajs fetches
 * the rest again.
 */
export async function decodePartition(
  partition: FetchedPartition,
  budget: Budget,
  decodeOld: DecodeOld,
): Promise<DecodedPartition> {
  const aborted = new AbortedTransactions(partition.aborted)
  const spans = splitRecords(partition.records)
  const records: FetchedRecord[] = []
  let last: bigint | null = null
  for (const span of spans) {
    if (budget.bytes <= 0 || budget.records <= 0) break
    try {
      const decoded = await decodeBatch(partition, span, aborted, decodeOld)
      // Not `push(...records)`: a batch can have more records than a call may have arguments.
      for (const record of decoded.records) records.push(record)
      last = decoded.last
      budget.bytes -= decoded.bytes
      budget.records -= decoded.records.length
      // Unpacking ten mebibytes takes a tenth of a second. Other work gets its turn in between.
      if (decoded.bytes > longBytes) await turn()
    } catch (error) {
      if (last === null)
        return { records, failure: { first: span.firstOffset, next: span.nextOffset, error } }
      break
    }
  }
  const end = records.at(-1)
  const first = spans[0]?.firstOffset
  if (last !== null && first !== undefined && (end === undefined || BigInt(end.offset) < last))
    records.push(createEndMarker(first, last))
  return { records, failure: null }
}

async function decodeBatch(
  partition: FetchedPartition,
  span: BatchSpan,
  aborted: AbortedTransactions,
  decodeOld: DecodeOld,
): Promise<{ records: FetchedRecord[]; last: bigint; bytes: number }> {
  const batch = partition.records.subarray(span.start, span.end)
  if (span.magic <= oldMagicMax) {
    const records = await decodeOld(partition, batch)
    const last = BigInt(records.at(-1)?.offset ?? span.firstOffset)
    return { records, last, bytes: batch.length }
  }
  const header = readBatchHeader(batch)
  if (aborted.skips(header, batch.subarray(headerBytes))) return { records: [], last: header.last, bytes: 0 }
  return { ...(await readBatch(batch, header)), last: header.last }
}
