/**
 * The settings of every topic, by Kafka's names. If `isPromise` is true, any other value is refused when a
 * topic is created: a user who relied on it would lose records, or keep records that should be gone. Other
 * values of the rest are accepted and ignored: records are then kept longer than asked for.
 */
export const topicSettings: readonly { name: string; value: string; isPromise: boolean }[] = [
  { name: 'cleanup.policy', value: 'delete', isPromise: true },
  { name: 'min.insync.replicas', value: '1', isPromise: true },
  { name: 'message.timestamp.type', value: 'CreateTime', isPromise: true },
  { name: 'retention.ms', value: '-1', isPromise: false },
  { name: 'retention.bytes', value: '-1', isPromise: false },
  { name: 'compression.type', value: 'producer', isPromise: false },
]
