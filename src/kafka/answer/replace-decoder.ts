import { reasonOf } from '../../runtime/reason-of.ts'
import { fetchersMax } from '../cluster/fetch-apart.ts'
import { decodePartition, type Budget, type DecodeOld, type Failure } from './decode-partition.ts'
import { DamagedBatch } from './batch-header.ts'
import type { FetchedRecord } from './read-records.ts'
import { splitAnswer, type FetchedPartition } from './split-answer.ts'
import { wrapDecoder } from './wrap-decoder.ts'

/** A record batch that cannot be decoded: it is damaged, too large when unpacked, or its codec is unknown. */
export type Undecodable = {
  topic: string
  partition: number
  /** The batch's offsets are [first, next). */
  first: bigint
  next: bigint
  reason: string
}

type AnsweredPartition = { partition: number; abortedTransactions: unknown[]; messages: FetchedRecord[] }
type Answer = { responses: { topicName: string; partitions: AnsweredPartition[] }[] }
type Decode = (raw: Buffer) => Promise<Answer>

// The most that one answer unpacks to; the batch that reaches the limit is still decoded whole. A mebibyte of
// zeros takes a kilobyte when packed. Each of a broker's fetchers may have an answer in memory.
const answerLimit: Budget = { bytes: (64 * 1024 * 1024) / fetchersMax, records: 250_000 / fetchersMax }

const listeners = new Set<(found: Undecodable) => void>()
const damaged = new Map<string, bigint>()
const none = Buffer.alloc(0)
let replaced = false
let answers = 0

/**
 * Replaces kafkajs' decoder for the records in fetch answers. kafkajs checks no checksum, hands over records
 * of aborted transactions (see `aborted-transactions.ts`), blocks for a minute over a record with many headers, and,
 * for one batch that it cannot decode, rejects the whole answer with all its other partitions. It has no
 * setting for any of this. kafkajs' own code still reads the frame of the answers. Depends on its exact pin,
 * and applies to the whole process.
 *
 * @param listener is called for each partition whose next batch is undecodable, before kafkajs gets the
 *   answer; it must pause the partition, or kafkajs fetches that batch again at once
 * @returns a function that stops the calls
 */
export function replaceDecoder(listener: (found: Undecodable) => void): () => void {
  if (!replaced) wrapDecoder<Answer>((decode, version) => (raw) => decodeAnswer(decode, raw, version))
  replaced = true
  listeners.add(listener)
  return () => listeners.delete(listener)
}

async function decodeAnswer(decode: Decode, raw: Buffer, version: number): Promise<Answer> {
  const { partitions, build } = splitAnswer(raw, version)
  const decodeOld: DecodeOld = async (partition, records) => {
    const answer = await decode(build([partition], () => records))
    return answer.responses[0]?.partitions[0]?.messages ?? []
  }
  const answer = await decode(build(partitions, () => none))
  const answered = answer.responses.flatMap((response) => response.partitions)
  const budget = { ...answerLimit }
  // Each answer starts with another partition, so that partitions whose batches use up the budget do not keep
  // the others waiting for ever.
  answers++
  for (const nth of partitions.keys()) {
    const at = (answers + nth) % partitions.length
    const [partition, target] = [partitions[at], answered[at]]
    if (partition === undefined || target === undefined) throw new Error('the answer was split wrongly')
    const { records, failure } = await decodePartition(partition, budget, decodeOld)
    target.messages = records
    // The records of aborted transactions are already removed.
    target.abortedTransactions = []
    if (failure === null) damaged.delete(nameOf(partition))
    else if (isFinal(partition, failure)) tell(partition, failure)
  }
  return answer
}

/** A damaged batch may be whole when it is fetched a second time. */
function isFinal(partition: FetchedPartition, { first, error }: Failure): boolean {
  if (!(error instanceof DamagedBatch)) return true
  const isRepeated = damaged.get(nameOf(partition)) === first
  damaged.set(nameOf(partition), first)
  return isRepeated
}

function nameOf({ topic, partition }: FetchedPartition): string {
  return `${topic}:${partition}`
}

function tell({ topic, partition }: FetchedPartition, { first, next, error }: Failure): void {
  const reason = reasonOf(error)
  for (const listener of listeners) listener({ topic, partition, first, next, reason })
}
