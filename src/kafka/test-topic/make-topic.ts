import { Kafka, logLevel } from 'kafkajs'
import { calmKafkajs } from '../calm-kafkajs.ts'

/** Makes the topic on the embedded broker if it is missing: whoever reads a topic never makes it, and nobody else is there to. */
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
