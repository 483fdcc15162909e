// The errors for a broker that refuses, hangs, closes, or has left the cluster.
const names: ReadonlySet<string> = new Set([
  'KafkaJSBrokerNotFound',
  'KafkaJSConnectionClosedError',
  'KafkaJSConnectionError',
  'KafkaJSLockTimeout',
  'KafkaJSRequestTimeoutError',
])

/** Whether kafkajs failed because it could not reach a broker, and not because of a broker's answer. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  // After several tries kafkajs wraps the last try's error.
  return names.has(error.name) || isUnreachable(error.cause)
}
