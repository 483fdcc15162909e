import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import kafkajs, {
  Kafka,
  logLevel,
  Partitioners,
  type Admin,
  type PartitionMetadata,
  type Producer,
} from 'kafkajs'
import { ulid } from 'ulid'
import { connectPatiently } from '../../runtime/connect-patiently.ts'
import { wait } from '../../runtime/wait.ts'
import { calmKafkajs } from '../calm-kafkajs.ts'
import { secureKafka, type KafkaSecurity } from '../secure-kafka.ts'
import { testTransaction } from './test-transaction.ts'

export interface ProduceOptions {
  brokers: string[]
  /** Left out: no encryption and no login. */
  security?: KafkaSecurity
  topic: string
  count: number
  /** Records a second; null for as fast as possible. */
  rate: number | null
  /** Ids are `PREFIX-1` to `PREFIX-COUNT`; null makes ids that no other run has. */
  prefix: string | null
  /** The file that gets a JSON line for each acknowledged record; existing lines stay. */
  acksPath: string | null
  /** Called with the number of acknowledged records after every batch. */
  onProgress?: (acknowledged: number) => void
}

export interface Produced {
  acknowledged: number
  elapsedMs: number
  /** What ended the run early, or null. */
  fault: Error | null
}

/** `offset` is null until the broker has acknowledged the record. */
type TestRecord = { key: string; value: Buffer; partition: number; offset: number | null }

// Node does not find this export by name in a CommonJS package.
const { KafkaJSError } = kafkajs

/** The most records of one send. */
const batchRecords = 500
/** With a rate, this many sends a second give an even stream. */
const pacedSendsPerSecond = 20

/** A broker that is missing at the start is a mistake, and is reported soon. */
const impatience = { retries: 3 }
/** A broker that restarts during the run is waited for, about half a minute. */
const patience = { initialRetryTime: 100, maxRetryTime: 2000, retries: 20 }

/** kafkajs' own limit is one second. */
const connectMaxMs = 3_000

/** All brokers know a new topic within a moment; ten seconds are generous. */
const newTopicTriesMax = 100
const newTopicWaitMs = 100

/** Sends the transactions and waits for every acknowledgement. A send that fails for good ends the run. */
export async function produce(options: ProduceOptions): Promise<Produced> {
  calmKafkajs()
  connectPatiently()
  const client = {
    clientId: 'produce',
    brokers: options.brokers,
    ...secureKafka(options.security ?? { tls: null, sasl: null }),
    connectionTimeout: connectMaxMs,
    logLevel: logLevel.NOTHING,
  }
  const producer = new Kafka({ ...client, retry: patience }).producer({
    createPartitioner: Partitioners.DefaultPartitioner,
  })
  const acks = options.acksPath === null ? null : openSync(options.acksPath, 'a')
  const prefix = options.prefix ?? `TX-${ulid()}`
  let acknowledged = 0
  let fault: Error | null = null
  const startedAt = performance.now()
  try {
    const partitions = await findPartitions(new Kafka({ ...client, retry: impatience }), options.topic)
    await producer.connect()
    while (acknowledged < options.count) {
      const size = await nextSize(options, acknowledged, performance.now() - startedAt)
      const ids = Array.from({ length: size }, (_, index) => `${prefix}-${acknowledged + index + 1}`)
      const sent = await sendBatch(producer, options.topic, partitions, ids, acks)
      acknowledged += sent.acknowledged
      if (sent.fault !== null) throw sent.fault
      options.onProgress?.(acknowledged)
    }
  } catch (cause) {
    fault = cause instanceof Error ? cause : new Error(String(cause))
  }
  await producer.disconnect()
  if (acks !== null) closeSync(acks)
  return { acknowledged, elapsedMs: performance.now() - startedAt, fault }
}

async function findPartitions(kafka: Kafka, topic: string): Promise<PartitionMetadata[]> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    const known = await admin.listTopics()
    if (!known.includes(topic)) await admin.createTopics({ topics: [{ topic }], waitForLeaders: false })
    return await readPartitions(admin, topic)
  } finally {
    await admin.disconnect()
  }
}

/** Brokers do not know a new topic at once, and kafkajs' own wait for it gives up at the first refusal. */
async function readPartitions(admin: Admin, topic: string): Promise<PartitionMetadata[]> {
  for (let triesLeft = newTopicTriesMax; ; triesLeft--) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      return topics.flatMap((each) => each.partitions)
    } catch (error) {
      const isNew = error instanceof KafkaJSError && error.retriable
      if (!isNew || triesLeft === 0) throw error
      await wait(newTopicWaitMs, never)
    }
  }
}

/** How many records the next send takes; with a rate, waits until they are due. */
async function nextSize(options: ProduceOptions, acknowledged: number, elapsedMs: number): Promise<number> {
  const left = options.count - acknowledged
  if (options.rate === null) return Math.min(batchRecords, left)
  const dueMs = (acknowledged / options.rate) * 1000
  // One more, because Node cuts off fractions and counts from the beginning of the event loop's turn.
  if (dueMs > elapsedMs) await wait(Math.ceil(dueMs - elapsedMs) + 1, never)
  // A run that is behind catches up with larger sends.
  const behind = Math.floor(((elapsedMs - dueMs) / 1000) * options.rate)
  const paced = Math.ceil(options.rate / pacedSendsPerSecond)
  return Math.min(Math.max(1, paced, behind), batchRecords, left)
}

const never = new AbortController().signal

/**
 * Sends the records and writes a line for each one that the broker acknowledged, even if others failed. The
 * partition is chosen here, as the client would choose it from the key, because an acknowledgement only names
 * the first offset of each partition.
 *
 * Each partition is a separate send. In a send to several partitions kafkajs can lose some and still report
 * success: while it tries again, it skips a partition whose leadership moved to a broker that has already
 * answered for others.
 */
async function sendBatch(
  producer: Producer,
  topic: string,
  partitionMetadata: PartitionMetadata[],
  ids: readonly string[],
  acks: number | null,
): Promise<{ acknowledged: number; fault: Error | null }> {
  const choosePartition = Partitioners.DefaultPartitioner()
  const records = ids.map((id): TestRecord => {
    const message = { key: id, value: testTransaction(id) }
    return { ...message, partition: choosePartition({ topic, partitionMetadata, message }), offset: null }
  })
  let fault: Error | null = null
  const sends = [...new Set(records.map(({ partition }) => partition))].map(async (partition) => {
    try {
      const part = records.filter((record) => record.partition === partition)
      await sendPart(producer, topic, part)
    } catch (cause) {
      fault ??= cause instanceof Error ? cause : new Error(String(cause))
    }
  })
  await Promise.all(sends)
  const acknowledged = records.filter(({ offset }) => offset !== null)
  if (acks !== null) writeSync(acks, acknowledged.map((record) => describeRecord(topic, record)).join(''))
  return { acknowledged: acknowledged.length, fault }
}

/** Notes each record's offset once the leader and every in-sync replica have it. */
async function sendPart(producer: Producer, topic: string, part: readonly TestRecord[]): Promise<void> {
  const messages = part.map(({ key, value, partition }) => ({ key, value, partition }))
  const acknowledgements = await producer.send({ topic, acks: -1, messages })
  const baseOffset = Number(acknowledgements.at(-1)?.baseOffset ?? -1)
  if (baseOffset < 0) throw new Error('the broker acknowledged the records without an offset')
  part.forEach((record, at) => {
    record.offset = baseOffset + at
  })
}

function describeRecord(topic: string, { key, value, partition, offset }: TestRecord): string {
  const sha256 = createHash('sha256').update(value).digest('hex')
  return `${JSON.stringify({ topic, partition, offset, transaction_id: key, sha256 })}\n`
}
