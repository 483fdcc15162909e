import { wrapDecoder } from '../answer/wrap-decoder.ts'

type AnsweredPartition = {
  partition: number
  errorCode: number
  highWatermark: string
  lastStableOffset?: string
  messages: readonly { offset: string }[]
}
type Answer = { responses: { topicName: string; partitions: AnsweredPartition[] }[] }

export type AnswerListener = {
  readonly topic: string
  /**
   * The broker refuses this partition. The listener must pause the partition, or kafkajs asks again at once.
   */
  refused(partition: number, errorCode: number): void
  /** The broker answered with what it has of the partition from this offset on, which may be nothing. */
  answered(partition: number, highWatermark: bigint, from: bigint): void
}

// Source: Errors.java in Kafka's clients/src/main/java/org/apache/kafka/common/protocol.
const none = 0

const listeners = new Set<AnswerListener>()
let isWatched = false

/**
 * Tells a listener what each fetch answer says about each partition, before kafkajs gets the answer. It also
 * hides errors of single partitions from kafkajs. For one such error kafkajs would throw away the records of
 * all other partitions in the answer. Then, depending on the error, it would fetch the same again, join the
 * group again, or silently continue at the earliest offset and commit that for the group. It has no setting
 * for this, so its decoder is wrapped.
 *
 * @returns a function that stops the calls
 */
export function watchAnswers(listener: AnswerListener): () => void {
  if (!isWatched) wrapDecoder<Answer>((decode) => async (raw) => tell(await decode(raw)))
  isWatched = true
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function tell(answer: Answer): Answer {
  for (const { topicName, partitions } of answer.responses)
    for (const listener of listeners)
      if (listener.topic === topicName) for (const each of partitions) tellOf(each, listener)
  for (const { topicName, partitions } of answer.responses)
    if (isListenedTo(topicName)) for (const each of partitions) each.errorCode = none
  return answer
}

function tellOf(answered: AnsweredPartition, listener: AnswerListener): void {
  const { partition, errorCode, highWatermark } = answered
  if (errorCode === none) listener.answered(partition, BigInt(highWatermark), findFrom(answered))
  else listener.refused(partition, errorCode)
}

/**
 * The offset from which the answer speaks. An answer without records covers everything that may be read: what
 * follows belongs to open transactions.
 */
function findFrom({ highWatermark, lastStableOffset, messages }: AnsweredPartition): bigint {
  const [first] = messages
  if (first !== undefined) return BigInt(first.offset)
  const stable = BigInt(lastStableOffset ?? -1)
  return stable < 0n ? BigInt(highWatermark) : stable
}

function isListenedTo(topic: string): boolean {
  return [...listeners].some((listener) => listener.topic === topic)
}
