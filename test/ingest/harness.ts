import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel, type Admin, type Message, type Producer } from 'kafkajs'
import { pino } from 'pino'
import type { Pool } from 'pg'
import type { Test } from 'tap'
import { consume, type ConsumeOptions, type Consumer } from '../../src/ingest/consume.ts'
import type { FreshLane } from '../../src/ingest/fresh-lane.ts'
import type { Claim } from '../../src/log/write/to-claim.ts'
import { createMetrics } from '../../src/metrics.ts'
import { Hint } from '../../src/runtime/hint.ts'

/** A topic of the test's own on a broker, with what produces into it and administers it. */
export type TestTopic = {
  brokers: string[]
  topic: string
  groupId: string
  producer: Producer
  admin: Admin
}

export async function createTopic(
  t: Pick<Test, 'teardown'>,
  brokers: string[],
  partitions: number,
  topic = `ingest-${randomBytes(6).toString('hex')}`,
): Promise<TestTopic> {
  const kafka = createClient(brokers)
  const admin = kafka.admin()
  const producer = kafka.producer()
  await Promise.all([admin.connect(), producer.connect()])
  t.teardown(() => Promise.all([admin.disconnect(), producer.disconnect()]))
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: false })
  // A fresh topic has no leader for a moment, which ends kafkajs' own wait; and its deleteTopicRecords needs metadata loaded.
  await until(async () => (await admin.fetchTopicOffsets(topic).catch(() => [])).length === partitions)
  return { brokers, topic, groupId: `group-${topic}`, producer, admin }
}

export function createClient(brokers: string[]): Kafka {
  return new Kafka({ brokers, logLevel: logLevel.NOTHING })
}

/** Values become `{"transaction_id":"…"}`; a Buffer or null is sent as it is. */
export async function produce(
  { producer, topic }: { producer: Pick<Producer, 'send'>; topic: string },
  partition: number,
  values: (string | Buffer | null)[],
  fields: Partial<Message> = {},
): Promise<void> {
  const messages = values.map((value) => ({
    ...fields,
    partition,
    value: typeof value === 'string' ? JSON.stringify({ transaction_id: value }) : value,
  }))
  await producer.send({ topic, messages })
}

export function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}-${at}`)
}

export type LogLine = Record<string, unknown> & { event: string }

/** A fresh lane that starts what it is given and remembers how its reservations ended. */
export class RecordingLane implements FreshLane {
  room = 0
  readonly claims: Claim[] = []
  started = 0
  released = 0
  answersLost = 0

  reserve(max: number) {
    return {
      room: Math.min(max, this.room),
      start: (claims: readonly Claim[]) => {
        this.started++
        this.claims.push(...claims)
      },
      release: () => {
        this.released++
      },
      loseAnswer: () => {
        this.answersLost++
      },
    }
  }

  get ended(): number {
    return this.started + this.released + this.answersLost
  }
}

export type TestConsumer = Consumer & {
  lane: RecordingLane
  /** Both are given by hand: the listener that hears PostgreSQL is not part of the consumer. */
  decisions: Hint
  serverChanges: Hint
  lines: LogLine[]
  metrics: ReturnType<typeof createMetrics>
}

/** Starts the consumer under test; it is stopped with the test, at the latest. */
export function startConsumer(
  t: Pick<Test, 'teardown'>,
  { brokers, topic, groupId }: Pick<TestTopic, 'brokers' | 'topic' | 'groupId'>,
  database: Pool,
  options: Partial<ConsumeOptions> = {},
  level = 'info',
): TestConsumer {
  const lane = new RecordingLane()
  const decisions = new Hint()
  const serverChanges = new Hint()
  const metrics = createMetrics('test')
  const { logger, lines } = recordLines(level)
  const consumer = consume({
    kafka: { brokers, topic, groupId, tls: null, sasl: null },
    instance: `instance-${randomBytes(3).toString('hex')}`,
    maxRecordBytes: 1024 * 1024,
    leaseMs: 60_000,
    database,
    lane,
    decisions,
    serverChanges,
    tracing: null,
    metrics,
    logger,
    failpoint: () => undefined,
    ...options,
  })
  t.teardown(() => consumer.stop())
  return Object.assign(consumer, { lane, decisions, serverChanges, lines, metrics })
}

export function recordLines(level = 'info') {
  const lines: LogLine[] = []
  const write = (line: string) => void lines.push(JSON.parse(line) as LogLine)
  return { logger: pino({ level, base: null, messageKey: 'event' }, { write }), lines }
}

export type StoredRecord = {
  partition: number
  offset: number
  type: string
  transaction_id: string | null
  reason: string | null
}

/** What the log has of a topic's records, by partition and offset; an original's own word on a conflict is left out. */
export async function readRecords(database: Pool, topic: string): Promise<StoredRecord[]> {
  const { rows } = await database.query<StoredRecord>(
    `select partition, kafka_offset::int as offset, type, transaction_id, reason from message_events
      where topic = $1 and not (type = 'conflict_received' and version > 1)
      order by partition, kafka_offset, version`,
    [topic],
  )
  return rows
}

export async function countRecords(database: Pool, topic: string): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::int as count from message_events
      where topic = $1 and not (type = 'conflict_received' and version > 1)`,
    [topic],
  )
  return rows[0]?.count ?? 0
}

/** What Kafka has as the group's offsets, by partition. */
export async function readCommitted({ admin, groupId, topic }: TestTopic): Promise<string[]> {
  const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
  const partitions = found?.partitions ?? []
  return partitions.sort((one, other) => one.partition - other.partition).map((each) => each.offset)
}

/** Offsets that are no record of the log's or are one twice, up to the stored next offset of each partition. */
export async function findUnaccounted(database: Pool, topic: string): Promise<unknown[]> {
  const { rows } = await database.query(
    `select p.partition, o.kafka_offset::int as offset, count(e.kafka_offset)::int as events
      from partitions p
      cross join lateral (
        select min(first_offset) as first, max(next_offset) as next from partition_advances where partition_id = p.partition_id
      ) a
      cross join lateral generate_series(a.first, a.next - 1) as o(kafka_offset)
      left join message_events e on e.topic = p.topic and e.partition = p.partition and e.kafka_offset = o.kafka_offset
        and not (e.type = 'conflict_received' and e.version > 1)
      where p.topic = $1 and not exists (
        select from partition_holes h
        where h.partition_id = p.partition_id and o.kafka_offset >= h.first_offset and o.kafka_offset < h.next_offset)
      group by 1, 2 having count(e.kafka_offset) <> 1`,
    [topic],
  )
  return rows as unknown[]
}

/** The first line of that event with these fields, as soon as there is one. */
export async function waitForLine(
  { lines }: Pick<TestConsumer, 'lines'>,
  event: string,
  fields: Record<string, unknown> = {},
): Promise<LogLine> {
  const isWanted = (line: LogLine) =>
    line.event === event && Object.entries(fields).every(([name, value]) => line[name] === value)
  await until(() => lines.some(isWanted))
  return lines.find(isWanted)!
}

/** What the consumer says of records that wait in partitions which nobody reads, as `partition:lag`. */
export async function unreadLagsOf({ metrics }: Pick<TestConsumer, 'metrics'>): Promise<string[]> {
  const { values } = await metrics.unreadLag.get()
  return values
    .filter(({ labels }) => labels.partition !== undefined)
    .map(({ labels, value }) => `${labels.partition}:${value}`)
    .sort()
}

/** Waits for the condition; the test's own timeout ends a wait in vain. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(10)
}
