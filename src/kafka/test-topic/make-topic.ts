import { Kafka, logLevel } from 'kafkajs'
import { calmKafkajs } from '../calm-kafkajs.ts'

/**
 * Creates the topic on the embedded broker if it is missing. Consumers never create a topic, and nobody else
 * would.
 */
export async function makeTopic(broker: string, topic: string): Promise<void> {
  calmKafkajs()
  const admin = new Kafka({ clientId: 'embedded', brokers: [broker], logLevel: logLevel.NOTHING }).admin()
  try {
    await admin.connect()
    await admin.createTopics({ topics: [{ topic }], waitForLeaders: false })
  } finally {
    await admin.disconnect()
  }
}
