import type { Answered, Call } from '../call.ts'
import { errorCode, type ErrorCode } from '../error-code.ts'
import type { PartitionLog, Slice } from '../partition-log.ts'
import type { Topics } from '../topics.ts'

interface FetchRequest {
  maxWaitMs: number
  minBytes: number
  maxBytes: number
  topics: { name: string; partitions: { partition: number; offset: number; maxBytes: number }[] }[]
}

interface Found {
  name: string
  partitions: { partition: number; error: ErrorCode; log: PartitionLog | null; slice: Slice }[]
}

const nothing: Slice = { position: 0, byteLength: 0 }
/** Upper limits on a client's wait and on the size of an answer, whatever it asks for. */
const maxWaitMsLimit = 60_000
const maxBytesLimit = 64 * 1024 * 1024

/**
 * Fetch, versions 4–11, without fetch sessions (KIP-227 lets a broker answer with session 0): each request
 * names its partitions.
 */
export async function fetch(call: Call): Promise<Answered> {
  const request = readRequest(call)
  let found = find(call.broker.topics, request)
  if (!suffices(found, request.minBytes) && request.maxWaitMs > 0) {
    await waitForRecords(found, call, request)
    found = find(call.broker.topics, request)
  }
  writeAnswer(call, found)
  return 'answered'
}

function readRequest({ request, version }: Call): FetchRequest {
  request.int32() // The replica id, −1 for a consumer.
  const maxWaitMs = Math.min(request.int32(), maxWaitMsLimit)
  const minBytes = request.int32()
  const maxBytes = Math.min(request.int32(), maxBytesLimit)
  request.int8() // The isolation level; with no transactions both read the same.
  if (version >= 7) {
    request.int32()
    request.int32()
  }
  const topics = request.array(() => ({
    name: request.string(),
    partitions: request.array(() => {
      const partition = request.int32()
      if (version >= 9) request.int32() // The leader's epoch as the client knows it; there is only one leader ever.
      const offset = request.int64()
      if (version >= 5) request.int64() // A follower's first offset.
      return { partition, offset, maxBytes: request.int32() }
    }),
  }))
  // Later versions add the forgotten topics and the rack after this; they mean nothing here.
  return { maxWaitMs, minBytes, maxBytes, topics }
}

function find(topics: Topics, request: FetchRequest): Found[] {
  let roomBytes = request.maxBytes
  let empty = true
  return request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partition, offset, maxBytes }) => {
      const log = topics.partition(name, partition) ?? null
      if (log === null) return { partition, error: errorCode.unknownTopicOrPartition, log, slice: nothing }
      if (offset < log.startOffset || offset > log.nextOffset) {
        return { partition, error: errorCode.offsetOutOfRange, log, slice: nothing }
      }
      const slice = log.slice(offset, Math.min(maxBytes, roomBytes), empty ? Infinity : roomBytes)
      roomBytes -= slice.byteLength
      empty &&= slice.byteLength === 0
      return { partition, error: errorCode.none, log, slice }
    }),
  }))
}

function suffices(found: readonly Found[], minBytes: number): boolean {
  const partitions = found.flatMap((topic) => topic.partitions)
  const bytes = partitions.reduce((sum, { slice }) => sum + slice.byteLength, 0)
  return bytes >= minBytes || partitions.some(({ error }) => error !== errorCode.none)
}

/** Ends when there are enough records, the client's time is up, or the client has disconnected. */
async function waitForRecords(found: readonly Found[], call: Call, request: FetchRequest): Promise<void> {
  const logs = found.flatMap((topic) => topic.partitions.flatMap(({ log }) => log ?? []))
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      for (const unwatch of watches) unwatch()
      call.closed.removeEventListener('abort', end)
      resolve()
    }
    const look = (): void => {
      if (suffices(find(call.broker.topics, request), request.minBytes)) end()
    }
    const timer = setTimeout(end, request.maxWaitMs)
    const watches = logs.map((log) => log.watch(look))
    call.closed.addEventListener('abort', end)
    if (call.closed.aborted) end()
  })
}

function writeAnswer({ answer, version }: Call, found: readonly Found[]): void {
  answer.int32(0)
  if (version >= 7) answer.int16(errorCode.none).int32(0)
  answer.array(found, ({ name, partitions }) => {
    answer.string(name).array(partitions, ({ partition, error, log, slice }) => {
      const highWatermark = log?.nextOffset ?? -1
      answer.int32(partition).int16(error).int64(highWatermark).int64(highWatermark)
      if (version >= 5) answer.int64(log?.startOffset ?? -1)
      answer.int32(0) // No transactions, so none was aborted.
      if (version >= 11) answer.int32(-1)
      const records = answer.reserve(slice.byteLength)
      log?.readInto(records, slice)
    })
  })
}
