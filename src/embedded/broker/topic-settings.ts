/**
 * How every topic is kept, in the words of Kafka's topic settings. A setting that is a promise is refused with any other value when a topic
 * is made: whoever relies on it would lose records, or keep some that should be gone. The others are as they are whatever one asks for:
 * records are kept for longer than was wanted.
 */
export const topicSettings: readonly { name: string; value: string; isPromise: boolean }[] = [
  { name: 'cleanup.policy', value: 'delete', isPromise: true },
  { name: 'min.insync.replicas', value: '1', isPromise: true },
  { name: 'message.timestamp.type', value: 'CreateTime', isPromise: true },
  { name: 'retention.ms', value: '-1', isPromise: false },
  { name: 'retention.bytes', value: '-1', isPromise: false },
  { name: 'compression.type', value: 'producer', isPromise: false },
]
