import type { Answered, Call } from '../call.ts'
import { errorCode, type ErrorCode } from '../error-code.ts'
import { partitionsDefault } from '../topics.ts'

/** The one node of this cluster. */
export const nodeId = 0

/**
 * Metadata, versions 0–6. An unknown topic is created at once if the client allows it, as in Kafka's default
 * configuration.
 */
export function metadata({ request, answer, version, broker, host, port }: Call): Answered {
  const wanted = request.nullableArray(() => request.string())
  const mayCreate = version < 4 || request.boolean()
  const wantsAll = wanted === null || (version === 0 && wanted.length === 0)
  const topics = (wantsAll ? broker.topics.names() : wanted).map((name) => {
    const known = broker.topics.partitions(name) !== undefined
    const error = known ? errorCode.none : mayCreate ? broker.topics.create(name, partitionsDefault) : null
    return {
      name,
      error: error ?? errorCode.unknownTopicOrPartition,
      logs: broker.topics.partitions(name) ?? [],
    }
  })

  if (version >= 3) answer.int32(0)
  answer.array([nodeId], (node) => {
    answer.int32(node).string(host).int32(port)
    if (version >= 1) answer.string(null)
  })
  if (version >= 2) answer.string('development-broker')
  if (version >= 1) answer.int32(nodeId)
  answer.array(topics, ({ name, error, logs }) => {
    answer.int16(error).string(name)
    if (version >= 1) answer.boolean(false)
    answer.array(logs.keys(), (partition) => {
      answer
        .int16(errorCode.none satisfies ErrorCode)
        .int32(partition)
        .int32(nodeId)
      answer.array([nodeId], (replica) => answer.int32(replica))
      answer.array([nodeId], (inSync) => answer.int32(inSync))
      if (version >= 5) answer.int32(0)
    })
  })
  return 'answered'
}
