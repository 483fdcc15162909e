import type { Answered, Call } from '../call.ts'
import { errorCode, type ErrorCode } from '../error-code.ts'

interface Stored {
  partition: number
  error: ErrorCode
  baseOffset: number
  startOffset: number
}

/**
 * Produce, versions 3–7. With one replica, "written by the leader" and "written by all replicas" are the
 * same.
 */
export function produce(call: Call): Answered {
  const { request, answer, version } = call
  request.nullableString() // Transactional id; transactional batches are refused one by one.
  const acks = request.int16()
  request.int32() // The time to wait for replicas, of which there are none.
  const topics = request.array(() => ({
    name: request.string(),
    partitions: request.array(() => ({ partition: request.int32(), records: request.bytes() })),
  }))

  answer.array(topics, ({ name, partitions }) => {
    answer.string(name).array(partitions, ({ partition, records }) => {
      const stored = store(call, acks, name, partition, records)
      answer.int32(partition).int16(stored.error).int64(stored.baseOffset).int64(-1)
      if (version >= 5) answer.int64(stored.startOffset)
    })
  })
  answer.int32(0)
  return acks === 0 ? 'silent' : 'answered'
}

function store({ broker }: Call, acks: number, topic: string, partition: number, records: Buffer): Stored {
  if (acks < -1 || acks > 1)
    return { partition, error: errorCode.invalidRequiredAcks, baseOffset: -1, startOffset: -1 }
  const log = broker.topics.partition(topic, partition)
  if (log === undefined) {
    return { partition, error: errorCode.unknownTopicOrPartition, baseOffset: -1, startOffset: -1 }
  }
  return { partition, ...log.append(records), startOffset: log.startOffset }
}
