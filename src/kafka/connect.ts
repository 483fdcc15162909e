import { Kafka, logLevel, type Consumer, type LogEntry } from 'kafkajs'
import type { Logger } from '../runtime/logger.ts'
import { assignPartitions } from './assign-partitions.ts'
import { calmKafkajs } from './calm-kafkajs.ts'
import { closeHung } from './cluster/close-hung.ts'
import { shuffle } from './cluster/shuffle.ts'
import { spareOthers } from './cluster/spare-others.ts'
import { listPartitions, withAdmin } from './read-range.ts'
import { secureKafka, type KafkaSecurity } from './secure-kafka.ts'

export type KafkaOptions = {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly groupId: string
} & KafkaSecurity

/** A client for Kafka that never restarts anything by itself: our own supervision does. */
export function createKafka(options: KafkaOptions, instance: string, logger: Logger): Kafka {
  calmKafkajs()
  closeHung()
  spareOthers()
  return new Kafka({
    clientId: instance,
    // Another one first each time: one that hangs must not be what each new client asks first.
    brokers: shuffle(options.brokers),
    ...secureKafka(options),
    connectionTimeout: 3_000,
    // Of silence. A broker that is well may need 5 s: after so long it gives up a commit that its replicas do not confirm.
    requestTimeout: 6_000,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 3 },
    // Debug would log whole answers.
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => logEntry(logger, entry),
  })
}

export function createConsumer(kafka: Kafka, groupId: string, logger: Logger): Consumer {
  const askPartitions = (topic: string) => withAdmin(kafka, (admin) => listPartitions(admin, topic))
  return kafka.consumer({
    groupId,
    partitionAssigners: [assignPartitions(askPartitions, logger)],
    // A killed instance's partitions stay unread for a session; nothing of ours blocks the heartbeat for longer than 5 s.
    sessionTimeout: 10_000,
    heartbeatInterval: 2_000,
    rebalanceTimeout: 20_000,
    // One record is an answer. The wait is what joins, seeks and a stop can cost; idle, it is four requests a second.
    minBytes: 1,
    maxWaitTimeInMs: 250,
    // Eight full slices of typical records.
    maxBytesPerPartition: 1024 * 1024,
    maxBytes: 10 * 1024 * 1024,
    // How late it is noticed that another broker leads a partition, where no broker says so, and that there are more partitions. One
    // small request.
    metadataMaxAge: 5_000,
    // By asking for a topic whose name is misspelt, kafkajs would have a default broker make it, with the broker's own settings.
    allowAutoTopicCreation: false,
    // Joins are tried for long, because a member that gives up in the middle of one holds up the others for a session.
    retry: { retries: 10, restartOnFailure: () => Promise.resolve(false) },
  })
}

/**
 * kafkajs' lines, of which only these fields are known to hold nothing of a record or a secret. All are debug: it calls a
 * rebalance an error, and what matters of it has a line of ours.
 */
function logEntry(logger: Logger, { label, namespace, log }: LogEntry): void {
  const { message, error, groupId, memberId, broker, topic, partition, retryCount } = log as Record<
    string,
    unknown
  >
  const reason = typeof error === 'string' ? error : undefined
  logger.debug(
    { label, namespace, message, reason, groupId, memberId, broker, topic, partition, retryCount },
    'kafkajs',
  )
}
