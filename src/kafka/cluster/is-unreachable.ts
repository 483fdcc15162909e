// A broker that refuses, hangs, closes or is no longer a part of the cluster.
const names: ReadonlySet<string> = new Set([
  'KafkaJSBrokerNotFound',
  'KafkaJSConnectionClosedError',
  'KafkaJSConnectionError',
  'KafkaJSLockTimeout',
  'KafkaJSRequestTimeoutError',
])

/** Whether kafkajs failed because one broker could not be spoken with, and not for what it answered. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  // After several tries kafkajs wraps what the last one failed on.
  return names.has(error.name) || isUnreachable(error.cause)
}
