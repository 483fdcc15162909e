import { createRequire } from 'node:module'
import { splitAnswer, type FetchedPartition } from './split-answer.ts'

/** A record batch that kafkajs cannot decode: corrupt, too large when unpacked, or of a codec that is not there. */
export type Undecodable = {
  topic: string
  partition: number
  /** Its offsets are [first, next). */
  first: bigint
  next: bigint
  reason: string
}

type Answer = { responses: { topicName: string; partitions: unknown[] }[] }
type Decode = (raw: Buffer) => Promise<Answer>

// The versions of Fetch that kafkajs 2.2.4 speaks and whose answer carries record batches as Kafka 0.11 and later write them.
const versions = [4, 5, 6, 7, 8, 9, 10, 11]

const listeners = new Set<(found: Undecodable) => void>()
let isolated = false

/**
 * Keeps an undecodable batch from stalling every partition. kafkajs rejects a whole fetch answer for one such batch and then
 * crashes or retries without end; it has no setting for this, so its decoder is wrapped: an answer that fails as a whole is
 * decoded partition by partition, up to the batch that fails. Answers that decode cost nothing more.
 *
 * @param listener hears, before kafkajs gets the answer, of each partition whose next batch is undecodable; it has to pause it,
 *   or kafkajs fetches that batch again at once
 * @returns stops listening
 */
export function onUndecodable(listener: (found: Undecodable) => void): () => void {
  if (!isolated) isolate()
  isolated = true
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function isolate(): void {
  const load = createRequire(import.meta.url)
  for (const version of versions) {
    // kafkajs looks `decode` up on this object at every answer.
    const response = load(`kafkajs/src/protocol/requests/fetch/v${version}/response.js`) as { decode: Decode }
    const { decode } = response
    response.decode = (raw) => decode(raw).catch((error: unknown) => decodeApart(decode, raw, version, error))
  }
}

async function decodeApart(decode: Decode, raw: Buffer, version: number, failure: unknown): Promise<Answer> {
  const { partitions, build } = splitAnswer(raw, version)
  let found = false
  const answers: Answer[] = []
  for (const partition of partitions) {
    const isWhole = await decodes(decode, build(partition, partition.records))
    const kept = isWhole ? partition.records : await cutBeforeFailure(decode, partition, build)
    answers.push(await decode(build(partition, kept)))
    if (!isWhole) found = true
  }
  const [first] = answers
  if (!found || first === undefined) throw failure
  return { ...first, responses: answers.flatMap((answer) => answer.responses) }
}

/** The record batches before the one that fails; if none is, the listeners are told. */
async function cutBeforeFailure(
  decode: Decode,
  partition: FetchedPartition,
  build: (partition: FetchedPartition, records: Buffer) => Buffer,
): Promise<Buffer> {
  for (const batch of partition.batches) {
    const reason = await failureOf(
      decode,
      build(partition, partition.records.subarray(batch.start, batch.end)),
    )
    if (reason === null) continue
    if (batch.start === 0) tell({ ...partition, first: batch.firstOffset, next: batch.nextOffset, reason })
    return partition.records.subarray(0, batch.start)
  }
  // Each decodes alone but not all together: the first is progress.
  return partition.records.subarray(0, partition.batches[0]?.end ?? 0)
}

function tell({ topic, partition, first, next, reason }: Undecodable): void {
  for (const listener of listeners) listener({ topic, partition, first, next, reason })
}

async function decodes(decode: Decode, raw: Buffer): Promise<boolean> {
  return (await failureOf(decode, raw)) === null
}

async function failureOf(decode: Decode, raw: Buffer): Promise<string | null> {
  try {
    await decode(raw)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
