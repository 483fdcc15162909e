import { wrapDecoder } from './answer/wrap-decoder.ts'

type Answer = { responses: { topicName: string; partitions: { partition: number; errorCode: number }[] }[] }
type Listener = (topic: string, partition: number) => boolean

// Source: Errors.java in Kafka's clients/src/main/java/org/apache/kafka/common/protocol.
const none = 0
const offsetOutOfRange = 1

const listeners = new Set<Listener>()
let isWatched = false

/**
 * Says at once that the broker does not have the offset that a partition was to be read from. kafkajs would go on at the earliest
 * offset without a word, commit that as the group's, and throw away what the same answer holds of other partitions; it has no
 * setting for this, so its decoder is wrapped.
 *
 * @param listener hears it before kafkajs does. If it answers true, it has paused the partition, and kafkajs hears nothing
 * @returns stops listening
 */
export function onOutOfRange(listener: Listener): () => void {
  if (!isWatched) wrapDecoder<Answer>((decode) => async (raw) => tell(await decode(raw)))
  isWatched = true
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function tell(answer: Answer): Answer {
  for (const { topicName, partitions } of answer.responses)
    for (const each of partitions)
      if (each.errorCode === offsetOutOfRange && isHandled(topicName, each.partition)) each.errorCode = none
  return answer
}

function isHandled(topic: string, partition: number): boolean {
  return [...listeners].some((listener) => listener(topic, partition))
}
