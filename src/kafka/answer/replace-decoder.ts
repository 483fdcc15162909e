import { reasonOf } from '../../runtime/reason-of.ts'
import { decodePartition, type Budget, type DecodeOld, type Failure } from './decode-partition.ts'
import { DamagedBatch } from './batch-header.ts'
import type { FetchedRecord } from './read-records.ts'
import { splitAnswer, type FetchedPartition } from './split-answer.ts'
import { wrapDecoder } from './wrap-decoder.ts'

/** A record batch that cannot be decoded: damaged, too large when unpacked, or of a codec that is not there. */
export type Undecodable = {
  topic: string
  partition: number
  /** Its offsets are [first, next). */
  first: bigint
  next: bigint
  reason: string
}

type AnsweredPartition = { partition: number; abortedTransactions: unknown[]; messages: FetchedRecord[] }
type Answer = { responses: { topicName: string; partitions: AnsweredPartition[] }[] }
type Decode = (raw: Buffer) => Promise<Answer>

// What one answer unpacks to, beside the batch with which it comes to that: a mebibyte of zeros takes a kilobyte on its way.
const answerLimit: Budget = { bytes: 64 * 1024 * 1024, records: 250_000 }

const listeners = new Set<(found: Undecodable) => void>()
const damaged = new Map<string, bigint>()
const none = Buffer.alloc(0)
let replaced = false
let turns = 0

/**
 * Puts a decoder of our own into the place of kafkajs' for the records in fetch answers. kafkajs checks no checksum, hands over
 * records of aborted transactions (see `skip-aborted.ts`), blocks for a minute over a record with many headers, and rejects a
 * whole answer for one batch that it cannot decode, and its other partitions with it. It has no setting for any of this; the
 * answers' frame is still read by its own code. Rests on its exact pin, and holds for the whole process.
 *
 * @param listener hears, before kafkajs gets the answer, of each partition whose next batch is undecodable; it has to pause it,
 *   or kafkajs fetches that batch again at once
 * @returns stops listening
 */
export function onUndecodable(listener: (found: Undecodable) => void): () => void {
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
  const left = { ...answerLimit }
  // Another one comes first each time, so that none whose batches use up the budget keeps the others waiting for ever.
  turns++
  for (const nth of partitions.keys()) {
    const at = (turns + nth) % partitions.length
    const [partition, target] = [partitions[at], answered[at]]
    if (partition === undefined || target === undefined) throw new Error('the answer was split wrongly')
    const { records, failure } = await decodePartition(partition, left, decodeOld)
    target.messages = records
    // They are dealt with.
    target.abortedTransactions = []
    if (failure === null) damaged.delete(nameOf(partition))
    else if (isFinal(partition, failure)) tell(partition, failure)
  }
  return answer
}

/** A batch that is damaged may be whole when it comes a second time. */
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
