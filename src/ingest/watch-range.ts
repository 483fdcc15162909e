import { createRequire } from 'node:module'

type Answer = { responses: { topicName: string; partitions: { partition: number; errorCode: number }[] }[] }
type Decode = (raw: Buffer) => Promise<Answer>
type Listener = (topic: string, partition: number) => boolean

// The versions of Fetch that kafkajs 2.2.4 speaks and that brokers of today still answer.
const versions = [4, 5, 6, 7, 8, 9, 10, 11]
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
  if (!isWatched) watch()
  isWatched = true
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function watch(): void {
  const load = createRequire(import.meta.url)
  for (const version of versions) {
    // kafkajs looks `decode` up on this object at every answer.
    const response = load(`kafkajs/src/protocol/requests/fetch/v${version}/response.js`) as { decode: Decode }
    const { decode } = response
    response.decode = async (raw) => tell(await decode(raw))
  }
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
