/**
 * How every topic is kept, in the words of Kafka's topic settings. Any other value of one of these is refused when a topic is made: the
 * broker keeps everything, as it was sent, and whoever is told otherwise may rely on it.
 */
export const topicSettings: readonly { name: string; value: string }[] = [
  { name: 'cleanup.policy', value: 'delete' },
  { name: 'min.insync.replicas', value: '1' },
  { name: 'message.timestamp.type', value: 'CreateTime' },
  { name: 'retention.ms', value: '-1' },
  { name: 'retention.bytes', value: '-1' },
  { name: 'compression.type', value: 'producer' },
]
