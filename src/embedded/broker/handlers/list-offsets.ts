import type { Answered, Call } from '../call.ts'
import { errorCode } from '../error-code.ts'
import type { PartitionLog } from '../partition-log.ts'

const latest = -1
const earliest = -2

/**
 * ListOffsets, versions 1–3: the first offset, the next one, or the first at a given time. Later versions ask
 * for more by other negative numbers, for example the record with the highest time (−3). These are refused,
 * because this broker opens no batch.
 */
export function listOffsets({ request, answer, version, broker }: Call): Answered {
  request.int32() // The replica id.
  if (version >= 2) request.int8() // The isolation level.
  const topics = request.array(() => ({
    name: request.string(),
    partitions: request.array(() => ({ partition: request.int32(), timestamp: request.int64() })),
  }))

  if (version >= 2) answer.int32(0)
  answer.array(topics, ({ name, partitions }) => {
    answer.string(name).array(partitions, ({ partition, timestamp }) => {
      const log = broker.topics.partition(name, partition)
      const error =
        log === undefined
          ? errorCode.unknownTopicOrPartition
          : timestamp < earliest
            ? errorCode.unsupportedVersion
            : errorCode.none
      const found = log === undefined || error !== errorCode.none ? null : find(log, timestamp)
      answer
        .int32(partition)
        .int16(error)
        .int64(found?.timestamp ?? -1)
        .int64(found?.offset ?? -1)
    })
  })
  return 'answered'
}

function find(log: PartitionLog, timestamp: number): { offset: number; timestamp: number } | null {
  if (timestamp === latest) return { offset: log.nextOffset, timestamp: -1 }
  if (timestamp === earliest) return { offset: log.startOffset, timestamp: -1 }
  return log.offsetAtTime(timestamp)
}
