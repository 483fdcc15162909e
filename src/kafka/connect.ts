import { Kafka, logLevel, type Consumer, type LogEntry } from 'kafkajs'
import type { Logger } from '../runtime/logger.ts'
import { assignPartitions } from './assign-partitions.ts'
import { calmKafkajs } from './calm-kafkajs.ts'
import { closeHung } from './cluster/close-hung.ts'
import { endStopped } from './cluster/end-stopped.ts'
import { fetchApart, fetchersMax } from './cluster/fetch-apart.ts'
import { shuffle } from './cluster/shuffle.ts'
import { spareOthers } from './cluster/spare-others.ts'
import { listPartitions, withAdmin } from './read-range.ts'
import { secureKafka, type KafkaSecurity } from './secure-kafka.ts'

export type KafkaOptions = {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly groupId: string
} & KafkaSecurity

/** A Kafka client that never restarts anything on its own: ingest starts a new session. */
export function createKafka(options: KafkaOptions, instance: string, logger: Logger): Kafka {
  calmKafkajs()
  closeHung()
  spareOthers()
  endStopped()
  fetchApart()
  return new Kafka({
    clientId: instance,
    // In random order, so that a hung broker is not the first that every new client asks.
    brokers: shuffle(options.brokers),
    ...secureKafka(options),
    connectionTimeout: 3_000,
    // The longest silence of a connection. A healthy broker may need 5 s: only then does it give up a commit
    // that its replicas do not confirm.
    requestTimeout: 6_000,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 3 },
    // At debug level kafkajs would log whole answers.
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => logEntry(logger, entry),
  })
}

export function createConsumer(kafka: Kafka, groupId: string, logger: Logger): Consumer {
  const askPartitions = (topic: string) => withAdmin(kafka, (admin) => listPartitions(admin, topic))
  return kafka.consumer({
    groupId,
    partitionAssigners: [assignPartitions(askPartitions, logger)],
    // A killed instance's partitions stay unread for one session timeout. Nothing in this service blocks the
    // heartbeat for longer than 5 s.
    sessionTimeout: 10_000,
    heartbeatInterval: 2_000,
    rebalanceTimeout: 20_000,
    // One record is enough for an answer. The wait can delay joins, seeks and a stop; an idle service sends
    // four requests a second.
    minBytes: 1,
    maxWaitTimeInMs: 250,
    // Eight full slices of typical records.
    maxBytesPerPartition: 1024 * 1024,
    maxBytes: (10 * 1024 * 1024) / fetchersMax,
    // How late the client notices new partitions, or another leader if no broker reports it. The cost is one
    // small request.
    metadataMaxAge: 5_000,
    // If this were true, asking for a misspelt topic would create it on a broker with default settings.
    allowAutoTopicCreation: false,
    // A join is tried for long, because a member that gives up during a join delays the others for a session
    // timeout.
    retry: { retries: 10, restartOnFailure: () => Promise.resolve(false) },
  })
}

/**
 * kafkajs' log lines. Only these fields are known to hold no part of a record and no secret. All lines are
 * logged at debug level: kafkajs calls a rebalance an error, and this service logs what matters itself.
 */
function logEntry(logger: Logger, { label, namespace, log }: LogEntry): void {
  const { message, error, groupId, memberId, broker, topic, partition, retryCount } = log as Record<
    string,
    unknown
  >
  const reason = typeof error === 'string' ? error : undefined
  logger.debug(
    {
      label,
      namespace,
      message,
      reason,
      group_id: groupId,
      member_id: memberId,
      broker,
      topic,
      partition,
      retry_count: retryCount,
    },
    'kafkajs',
  )
}
