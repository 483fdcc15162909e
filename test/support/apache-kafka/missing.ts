import { spawnSync } from 'node:child_process'
import { findKafkaJars } from './jars.ts'

/** Why there can be no Apache Kafka here, as the reason to leave a test out; false where there can be one. */
export async function whyNoApacheKafka(): Promise<string | false> {
  if (spawnSync('java', ['-version']).status !== 0) return 'Apache Kafka for the tests needs Java 17'
  try {
    await findKafkaJars()
    return false
  } catch (error) {
    // A machine that has Maven is one where this must work.
    if (!(error instanceof Error) || error.cause === undefined) throw error
    return error.message
  }
}
