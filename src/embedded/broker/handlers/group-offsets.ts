import type { Broker } from '../broker.ts'
import type { Answered, Call } from '../call.ts'
import { errorCode, type ErrorCode } from '../error-code.ts'

/** OffsetCommit, versions 2–5. */
export function offsetCommit({ request, answer, version, broker }: Call): Answered {
  const groupId = request.string()
  const generation = request.int32()
  const memberId = request.string()
  if (version <= 4) request.int64() // How long to keep them: for ever.
  const topics = request.array(() => ({
    name: request.string(),
    partitions: request.array(() => ({
      partition: request.int32(),
      offset: request.int64(),
      metadata: request.nullableString(),
    })),
  }))

  const error = judge(broker, groupId, memberId, generation)
  const known = (topic: string, partition: number): boolean =>
    broker.topics.partition(topic, partition) !== undefined
  if (error === errorCode.none) {
    const offsets = topics.flatMap(({ name, partitions }) =>
      partitions.map((each) => ({ topic: name, ...each })),
    )
    broker.committed.commit(
      groupId,
      offsets.filter(({ topic, partition }) => known(topic, partition)),
    )
  }
  if (version >= 3) answer.int32(0)
  answer.array(topics, ({ name, partitions }) => {
    answer.string(name).array(partitions, ({ partition }) => {
      answer.int32(partition).int16(known(name, partition) ? error : errorCode.unknownTopicOrPartition)
    })
  })
  return 'answered'
}

/** OffsetFetch, versions 1–4. */
export function offsetFetch({ request, answer, version, broker }: Call): Answered {
  const groupId = request.string()
  const asked = request.nullableArray(() => ({
    name: request.string(),
    partitions: request.array(() => request.int32()),
  }))

  if (version >= 3) answer.int32(0)
  answer.array(asked ?? committedPartitions(broker, groupId), ({ name, partitions }) => {
    answer.string(name).array(partitions, (partition) => {
      const committed = broker.committed.find(groupId, name, partition)
      answer.int32(partition).int64(committed?.offset ?? -1)
      answer.string(committed?.metadata ?? '').int16(errorCode.none)
    })
  })
  if (version >= 2) answer.int16(errorCode.none)
  return 'answered'
}

function judge(broker: Broker, groupId: string, memberId: string, generation: number): ErrorCode {
  if (groupId === '') return errorCode.invalidGroupId
  const group = broker.groups.get(groupId)
  if (group !== undefined) return group.judgeCommit(memberId, generation)
  // The broker has not seen this group since its start. A client that claims to be a member was one before a
  // restart, and must join again.
  return generation < 0 ? errorCode.none : errorCode.unknownMemberId
}

function committedPartitions(broker: Broker, groupId: string): { name: string; partitions: number[] }[] {
  const partitionsByTopic = new Map<string, number[]>()
  for (const { topic, partition } of broker.committed.of(groupId)) {
    partitionsByTopic.set(topic, [...(partitionsByTopic.get(topic) ?? []), partition])
  }
  return [...partitionsByTopic].map(([name, partitions]) => ({ name, partitions }))
}
