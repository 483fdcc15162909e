import { createHash } from 'node:crypto'
import { closeSync, openSync, realpathSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import kafkajs, {
  Kafka,
  logLevel,
  Partitioners,
  type Admin,
  type PartitionMetadata,
  type Producer,
} from 'kafkajs'
import { ulid } from 'ulid'
import { exitCodes, runCommand } from './commands/run-command.ts'
import { kafkaForTools } from './config.ts'
import { testTransaction } from './embedded/test-transaction.ts'
import { calmKafkajs } from './runtime/calm-kafkajs.ts'
import { connectPatiently } from './runtime/connect-patiently.ts'
import { secureKafka, type KafkaSecurity } from './runtime/secure-kafka.ts'
import { wait } from './runtime/wait.ts'

export interface ProduceOptions {
  brokers: string[]
  /** Nothing of it where it is left out. */
  security?: KafkaSecurity
  topic: string
  count: number
  /** Records a second, or null for as many as go. */
  rate: number | null
  /** Ids are `PREFIX-1` to `PREFIX-COUNT`; null makes ids that no other run has. */
  prefix: string | null
  /** The file that gets a JSON line for each acknowledged record; lines that are there already stay. */
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

// Node does not find this one by name in a CommonJS package.
const { KafkaJSError } = kafkajs

/** One send a turn, of so many records at most. */
const batchRecords = 500
/** With a rate, a send is due this often, so that the records come in an even stream. */
const pacedSendsPerSecond = 20

/** A broker that is not there at the start is a mistake to report soon. */
const impatience = { retries: 3 }
/** A broker that is restarted under the run is waited for, about half a minute. */
const patience = { initialRetryTime: 100, maxRetryTime: 2000, retries: 20 }

/** kafkajs' own limit is a second. */
const connectMaxMs = 3_000

/** A topic that is new is known to all brokers within a moment; ten seconds are generous. */
const newTopicTriesMax = 100
const newTopicWaitMs = 100

const usage = `Usage: npm run produce -- [--count N] [--rate R] [--brokers B] [--topic T] [--prefix P] [--acks F]

Sends test transactions to a Kafka topic, making the topic if it is missing.

  --count N    how many (default 100); with 0 it only makes the topic
  --rate R     how many a second (default: as fast as they go)
  --brokers B  host:port, or a comma list of them (default: KAFKA_BROKER, else the embedded broker)
  --topic T    the topic (default: KAFKA_TOPIC)
  --prefix P   ids P-1 to P-N, whose bytes depend on the id alone, so that a second run makes duplicates
               (default: ids that no other run has)
  --acks F     adds a JSON line to F for each record that the broker acknowledged
  --help       this text

Ends with 0 if all is acknowledged, 1 if any record is not, 2 if it could not run.
`

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

/** Of a topic that was made a moment ago the brokers do not know at once, and kafkajs' own wait for it gives up at the first no. */
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
  // One more, because Node cuts fractions off and counts from the beginning of the turn.
  if (dueMs > elapsedMs) await wait(Math.ceil(dueMs - elapsedMs) + 1, never)
  // A run that fell behind catches up with larger sends.
  const behind = Math.floor(((elapsedMs - dueMs) / 1000) * options.rate)
  const paced = Math.ceil(options.rate / pacedSendsPerSecond)
  return Math.min(Math.max(1, paced, behind), batchRecords, left)
}

const never = new AbortController().signal

/**
 * Sends the records and writes a line for each one that the broker acknowledged, also where others were not. Partitions are chosen
 * here, as the client would by the key, because an acknowledgement only names where each begins.
 *
 * Each partition is a send of its own: of several, kafkajs sends no more those whose leadership moves, while it tries again, to a
 * broker that has answered for others, and says all the same that all is sent.
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

/** Notes of each record the offset that the broker acknowledged, for itself and every replica in sync. */
async function sendPart(producer: Producer, topic: string, part: readonly TestRecord[]): Promise<void> {
  const messages = part.map(({ key, value, partition }) => ({ key, value, partition }))
  const acknowledgements = await producer.send({ topic, acks: -1, messages })
  const baseOffset = Number(acknowledgements.at(-1)?.baseOffset ?? -1)
  if (baseOffset < 0) throw new Error('the broker named no offset for what it was sent')
  part.forEach((record, at) => {
    record.offset = baseOffset + at
  })
}

function describeRecord(topic: string, { key, value, partition, offset }: TestRecord): string {
  const sha256 = createHash('sha256').update(value).digest('hex')
  return `${JSON.stringify({ topic, partition, offset, transaction_id: key, sha256 })}\n`
}

interface Flags {
  count: string
  rate?: string | undefined
  brokers?: string | undefined
  topic?: string | undefined
  prefix?: string | undefined
  acks?: string | undefined
}

async function run(flags: Flags): Promise<number> {
  const options = readOptions(flags)
  const { acknowledged, elapsedMs, fault } = await produce({
    ...options,
    onProgress: showProgress(options.count),
  })
  const rate = Math.round((acknowledged / Math.max(elapsedMs, 1)) * 1000)
  const count = `${acknowledged} of ${options.count} acknowledged on ${options.topic}`
  process.stderr.write(
    fault === null
      ? `${count} in ${(elapsedMs / 1000).toFixed(1)} s, ${rate} a second\n`
      : `Only ${count}: ${fault.message}.\n`,
  )
  return fault === null ? exitCodes.done : exitCodes.differs
}

function readOptions(values: Flags): ProduceOptions {
  const count = Number(values.count)
  if (!Number.isSafeInteger(count) || count < 0)
    throw new Error(`--count must be a whole number, not ${values.count}.`)
  const rate = values.rate === undefined ? null : Number(values.rate)
  if (rate !== null && !(rate > 0 && rate < Infinity))
    throw new Error(`--rate must be a number above 0, not ${values.rate ?? ''}.`)
  const kafka = kafkaForTools()
  return {
    brokers: values.brokers?.split(',').map((broker) => broker.trim()) ?? kafka.brokers,
    security: kafka,
    topic: values.topic ?? kafka.topic,
    count,
    rate,
    prefix: values.prefix ?? null,
    acksPath: values.acks ?? null,
  }
}

/** A bar that is drawn over itself on a terminal, else a line a second at most. */
function showProgress(count: number): (acknowledged: number) => void {
  const terminal = process.stderr.isTTY
  const everyMs = terminal ? 100 : 1000
  let nextMs = performance.now() + everyMs
  return (acknowledged) => {
    if (performance.now() < nextMs && acknowledged < count) return
    nextMs = performance.now() + everyMs
    const filled = Math.floor((acknowledged / count) * 40)
    const bar = `\r${'█'.repeat(filled)}${'░'.repeat(40 - filled)} ${acknowledged}/${count}\x1b[K`
    if (terminal) process.stderr.write(acknowledged < count ? bar : `${bar}\n`)
    else if (acknowledged < count) process.stderr.write(`${acknowledged} of ${count} acknowledged\n`)
  }
}

/** The bench imports `produce` from here, and must not start the command by that. */
function isCommand(): boolean {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)
}

if (isCommand()) {
  process.exitCode = await runCommand({
    usage,
    options: {
      count: { type: 'string', default: '100' },
      rate: { type: 'string' },
      brokers: { type: 'string' },
      topic: { type: 'string' },
      prefix: { type: 'string' },
      acks: { type: 'string' },
    },
    run,
  })
}
