/**
 * The settings of every topic, by Kafka's names. Any other value of one of these is refused when a topic is
 * created: the broker keeps everything, exactly as it was sent, and a user who was told otherwise may rely on it.
 */
export const topicSettings: readonly { name: string; value: string }[] = [
  { name: 'cleanup.policy', value: 'delete' },
  { name: 'min.insync.replicas', value: '1' },
  { name: 'message.timestamp.type', value: 'CreateTime' },
  { name: 'retention.ms', value: '-1' },
  { name: 'retention.bytes', value: '-1' },
  { name: 'compression.type', value: 'producer' },
]
