import type { Answered, Call } from '../call.ts'
import { errorCode, type ErrorCode } from '../error-code.ts'
import { topicSettings } from '../topic-settings.ts'
import { partitionsDefault, type Topics } from '../topics.ts'

/**
 * CreateTopics, versions 2–4. A topic that asks for more than one node, or for records not to be kept, is
 * refused with a sentence.
 */
export function createTopics({ request, answer, broker }: Call): Answered {
  const topics = request.array(() => {
    const name = request.string()
    const partitions = request.int32()
    const replicas = request.int16()
    const assigned = request.array(() => {
      request.int32()
      return request.array(() => request.int32())
    })
    const settings = request.array(() => ({ name: request.string(), value: request.nullableString() }))
    return {
      name,
      partitions: assigned.length > 0 ? assigned.length : partitions === -1 ? partitionsDefault : partitions,
      refusal: judgeReplicas(replicas, assigned) ?? judgeSettings(settings),
    }
  })
  request.int32() // The time to wait for the other nodes.
  const validateOnly = request.boolean()

  answer.int32(0).array(topics, ({ name, partitions, refusal }) => {
    const error =
      refusal !== null
        ? refusal.error
        : validateOnly
          ? broker.topics.judgeCreate(name, partitions)
          : broker.topics.create(name, partitions)
    answer
      .string(name)
      .int16(error)
      .string(refusal?.sentence ?? null)
  })
  return 'answered'
}

/** Why the broker cannot do what is asked; null if it can. */
type Refusal = { error: ErrorCode; sentence: string } | null

function judgeReplicas(replicas: number, assigned: readonly (readonly number[])[]): Refusal {
  const most = Math.max(replicas, ...assigned.map((nodes) => nodes.length))
  if (most <= 1) return null
  return {
    error: errorCode.invalidReplicationFactor,
    sentence: `The development broker is one node and keeps one replica, not ${most}.`,
  }
}

function judgeSettings(settings: readonly { name: string; value: string | null }[]): Refusal {
  for (const { name, value } of settings) {
    const kept = topicSettings.find((each) => each.name === name)
    if (kept === undefined || value === null || value === kept.value) continue
    return {
      error: errorCode.invalidConfig,
      sentence: `The development broker has ${name}=${kept.value} only, not ${value}.`,
    }
  }
  return null
}

/** DeleteTopics, versions 1–3. */
export function deleteTopics({ request, answer, broker }: Call): Answered {
  const names = request.array(() => request.string())
  answer.int32(0).array(names, (name) => {
    const error = broker.topics.delete(name)
    if (error === errorCode.none) broker.committed.deleteTopic(name)
    answer.string(name).int16(error)
  })
  return 'answered'
}

/** CreatePartitions, versions 0–1. */
export function createPartitions({ request, answer, broker }: Call): Answered {
  const topics = request.array(() => {
    const name = request.string()
    const partitions = request.int32()
    request.array(() => request.array(() => request.int32()))
    return { name, partitions }
  })
  request.int32()
  const validateOnly = request.boolean()

  answer.int32(0).array(topics, ({ name, partitions }) => {
    const error = validateOnly
      ? broker.topics.judgeGrow(name, partitions)
      : broker.topics.grow(name, partitions)
    answer.string(name).int16(error).string(null)
  })
  return 'answered'
}

/** DeleteRecords, versions 0–1: hides the records below an offset, or all records for offset −1. */
export function deleteRecords({ request, answer, broker }: Call): Answered {
  const topics = request.array(() => ({
    name: request.string(),
    partitions: request.array(() => ({ partition: request.int32(), offset: request.int64() })),
  }))

  answer.int32(0).array(topics, ({ name, partitions }) => {
    answer.string(name).array(partitions, ({ partition, offset }) => {
      const { error, startOffset } = deleteBefore(broker.topics, name, partition, offset)
      answer.int32(partition).int64(startOffset).int16(error)
    })
  })
  return 'answered'
}

function deleteBefore(
  topics: Topics,
  name: string,
  partition: number,
  offset: number,
): { error: ErrorCode; startOffset: number } {
  const log = topics.partition(name, partition)
  if (log === undefined) return { error: errorCode.unknownTopicOrPartition, startOffset: -1 }
  const before = offset === -1 ? log.nextOffset : offset
  if (before < 0 || before > log.nextOffset) return { error: errorCode.offsetOutOfRange, startOffset: -1 }
  log.deleteBefore(before)
  return { error: errorCode.none, startOffset: log.startOffset }
}
