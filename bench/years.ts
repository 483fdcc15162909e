import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Kafka, logLevel } from 'kafkajs'
import type pg from 'pg'
import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import { endWithUs } from '../src/embedded/end-with-us.ts'
import { testTransaction } from '../src/kafka/test-topic/test-transaction.ts'
import { idempotencyKey } from '../src/message/idempotency-key.ts'
import { migrate } from '../src/runtime/migrate.ts'
import { generateMessages } from './generate-messages.ts'
import {
  connect,
  done,
  fill,
  lastMessageId,
  readDelivery,
  settled,
  untilReady,
  verify,
  verifyWith,
  type Delivery,
} from './line.ts'
import { ask, describeMachine, readPeakMemory } from './measure.ts'
import { finished } from './message-scripts.ts'
import {
  hasEnded,
  namedOptions,
  namedUsage,
  readNamed,
  startParts,
  startProcessor,
  startService,
  type NamedFlags,
  type Parts,
  type RunningService,
} from './parts.ts'

const usage = `Usage: npm run bench:years -- [--messages N] [--segments N] [--rate R] [--seconds S] [--json F] [--stock]

Fills a log with finished messages of 50 days in several segments, and lets more flow through a service. Meanwhile all of those segments
but the last are archived, as \`npm run archive\` does. Then the checker runs without the archives and with them, and records of archived
messages come again.

  --messages N    finished messages (default 5000000)
  --segments N    how many segments they fill, up to 25 (default 5)
  --rate R        messages a second that flow through the service (default 1000)
  --seconds S     for how long they flow before the archive begins (default 60)
  --json F        writes the figures to F too

${namedUsage}

The archives are removed at the end.

  --help  this text

Ends with 0 if the checker finds nothing wrong both times and no archived message was sent again, 1 if not, 2 if it could not run.
`

const days = 50
// Records of archived messages that come again.
const repeatedMax = 1_000

/** Bytes of the tables with their indexes. */
type Disk = {
  /** Of the segments that were filled before. */
  filledBytes: number
  /** Of the segments that took what flowed through the service. */
  flowedBytes: number
  /** Of the identities, which stay for ever. */
  inboxBytes: number
  /** Of all others: counts by the minute, advances of partitions, positions. */
  otherBytes: number
}
type Repeated = {
  records: number
  /** Of those, how many were accounted for as duplicates of archived messages. */
  duplicates: number
  /** Of those, how many the processor got. */
  sent: number
}
type Archived = {
  segments: number
  seconds: number
  bytes: number
  peakMiB: number
  /** What the command printed. */
  output: string
}
/** Apart from the moments in which segments were dropped, and in those. */
type Stalls = { apartP99Ms: number; atDropsP50Ms: number; atDropsMaxMs: number }
type Checked = { clean: boolean; seconds: number }
type Figures = {
  machine: string
  servers: string
  messages: number
  ratePerSecond: number
  /** Before the archive began, and while it ran. */
  delivery: { before: Delivery; during: Delivery; stalls: Stalls }
  disk: { before: Disk; after: Disk }
  archived: Archived
  repeated: Repeated
  verify: { withoutArchives: Checked; withArchives: Checked }
}

interface Flags extends NamedFlags {
  messages: string
  segments: string
  rate: string
  seconds: string
  json?: string | undefined
}

async function run(values: Flags): Promise<number> {
  const segments = readCount('segments', values.segments, 2)
  if (segments > 25) throw new Error('--segments must be at most 25.')
  const segmentMessages = Math.ceil(readCount('messages', values.messages) / segments)
  const rate = readCount('rate', values.rate)
  const seconds = readCount('seconds', values.seconds)
  if (segmentMessages < 1_000)
    throw new Error('A segment holds at least 1000 messages: name more with --messages.')
  const parts = await startParts(readNamed(values))
  try {
    const figures = await measure(parts, { segments, segmentMessages, rate, seconds })
    process.stdout.write(toTable(figures))
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`)
    return isGood(figures, segments) ? exitCodes.done : exitCodes.differs
  } finally {
    await parts.stop()
  }
}

type Sizes = { segments: number; segmentMessages: number; rate: number; seconds: number }

async function measure(parts: Parts, sizes: Sizes): Promise<Figures> {
  const { segments, segmentMessages, rate, seconds } = sizes
  const messages = segments * segmentMessages
  await migrate({ connectionString: parts.databaseUrl })
  await generateMessages(parts.databaseUrl, {
    count: messages,
    scripts: finished,
    days,
    segmentMessages,
    onProgress: (generated) => void process.stdout.write(`${generated} messages are generated\n`),
  })
  const client = await connect(parts)
  try {
    await fill(parts, 0, null)
    const settings = { SEGMENT_MESSAGES: String(segmentMessages) }
    const service = await startService(parts, settings)
    await untilReady(service)
    // The first seconds warm up code and caches and are not counted.
    await flow(parts, client, service, rate, 5 * rate)
    const before = await flow(parts, client, service, rate, rate * seconds)
    const diskBefore = await readDisk(client, segments)
    const archives = join(parts.folder, 'archives')
    const {
      archived,
      delivery: during,
      stalls,
    } = await archiveMeanwhile(parts, client, service, archives, sizes)
    await service.stop()
    const diskAfter = await readDisk(client, segments)
    const repeated = await repeat(parts, client, settings)
    const without = verify(parts, [])
    process.stdout.write(without.output)
    const withArchives = verifyWith(parts, archives)
    process.stdout.write(withArchives.output)
    return {
      machine: describeMachine(),
      servers: parts.description,
      messages,
      ratePerSecond: rate,
      delivery: { before, during, stalls },
      disk: { before: diskBefore, after: diskAfter },
      archived,
      repeated,
      verify: {
        withoutArchives: { clean: without.isClean, seconds: without.seconds },
        withArchives: { clean: withArchives.isClean, seconds: withArchives.seconds },
      },
    }
  } finally {
    await client.end()
  }
}

/** Lets so many messages flow, and waits until all are done. */
async function flow(
  parts: Parts,
  client: pg.Client,
  service: RunningService,
  rate: number,
  count: number,
): Promise<Delivery> {
  const above = await ask(client, lastMessageId)
  const before = await ask(client, done)
  await fill(parts, count, rate)
  await settled(client, before + count, service)
  return readDelivery(client, above, await ask(client, lastMessageId))
}

/** Lets messages flow for as long as the archive takes. */
async function archiveMeanwhile(
  parts: Parts,
  client: pg.Client,
  service: RunningService,
  archives: string,
  { segments, rate }: Sizes,
): Promise<{ archived: Archived; delivery: Delivery; stalls: Stalls }> {
  const above = await ask(client, lastMessageId)
  const before = await ask(client, done)
  // A segment holds days / segments days. So the last one has events that are younger than half of that.
  const age = `${Math.floor(days / segments / 2)}d`
  const flags = ['--before', age, '--to', archives, '--operator', 'bench']
  const startedAt = performance.now()
  const child = spawn(process.execPath, [script('archive'), ...flags], {
    env: { PATH: process.env.PATH, DATABASE_URL: parts.databaseUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (child.pid !== undefined) endWithUs(child.pid, 'SIGTERM')
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const ended = once(child, 'close').then(() => performance.now())
  let count = 0
  let peakMiB = 0
  do {
    await fill(parts, rate, rate)
    count += rate
    if (!hasEnded(child)) peakMiB = Math.max(peakMiB, readPeakMemory(child.pid ?? 0))
  } while (!hasEnded(child))
  const elapsedMs = (await ended) - startedAt
  process.stdout.write(output)
  if (child.exitCode !== 0) throw new Error(`the archive ended with ${child.exitCode ?? child.signalCode}`)
  await settled(client, before + count, service)
  const delivery = await readDelivery(client, above, await ask(client, lastMessageId))
  const archived = {
    segments: readdirSync(archives).length,
    seconds: elapsedMs / 1_000,
    bytes: bytesOf(archives),
    peakMiB,
    output,
  }
  return { archived, delivery, stalls: await readStalls(client, above) }
}

async function readStalls(client: pg.Client, above: number): Promise<Stalls> {
  const { rows } = await client.query<{ apart: number; p50: number; max: number }>(
    `select percentile_disc(0.99) within group (order by ms) filter (where not at_drop) as apart,
       percentile_disc(0.5) within group (order by ms) filter (where at_drop) as p50, max(ms) filter (where at_drop) as max
     from (
       select (extract(epoch from e.recorded_at) * 1000 - r.timestamp_ms)::float8 as ms,
         exists (
           select from segment_archives a
           where extract(epoch from a.archived_at) * 1000 - r.timestamp_ms between -1000 and 250
         ) as at_drop
       from message_events e
       join records r on r.message_id = e.message_id and r.version = 1
       where e.type = 'succeeded' and e.message_id > $1
     ) delivered`,
    [above],
  )
  const found = rows[0] ?? { apart: NaN, p50: NaN, max: NaN }
  return { apartP99Ms: found.apart, atDropsP50Ms: found.p50, atDropsMaxMs: found.max }
}

function script(name: string): string {
  return fileURLToPath(new URL(`../dist/commands/${name}.js`, import.meta.url))
}

function bytesOf(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}

async function readDisk(client: pg.Client, segments: number): Promise<Disk> {
  const { rows } = await client.query<Disk>(
    `select sum(bytes) filter (where part <= $1)::float8 as "filledBytes", sum(bytes) filter (where part > $1)::float8 as "flowedBytes",
       sum(bytes) filter (where relname = 'inbox')::float8 as "inboxBytes",
       sum(bytes) filter (where part is null and relname <> 'inbox')::float8 as "otherBytes"
     from (
       select c.relname, pg_total_relation_size(c.oid) as bytes,
         case when i.inhrelid is not null then substring(c.relname from '[0-9]+$')::int end as part
       from pg_class c left join pg_inherits i on i.inhrelid = c.oid
       where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
     ) sized`,
    [segments],
  )
  const [disk] = rows
  if (disk === undefined) throw new Error('the sizes are one row')
  return disk
}

/** Sends records of archived messages again, and a new one behind them, with a processor that remembers what it got. */
async function repeat(parts: Parts, client: pg.Client, settings: Record<string, string>): Promise<Repeated> {
  const { rows } = await client.query<{ transaction_id: string; message_id: string; hash: string }>(
    `select i.transaction_id, i.message_id, encode(i.payload_sha256, 'hex') as hash
     from segment_archives a
     cross join lateral (
       select * from inbox b
       where b.message_id >= a.first_message_id and b.message_id < a.next_message_id and b.transaction_id like '%-generated'
       limit ${repeatedMax / 25}
     ) i`,
  )
  const values = rows.map(({ transaction_id, message_id, hash }) => {
    const amount = (Number(message_id) - 1) % 100_000
    const value = `{"transaction_id":"${transaction_id}","amount":"${amount}.10","currency":"EUR"}`
    if (createHash('sha256').update(value).digest('hex') !== hash)
      throw new Error('the bytes are not the same')
    return { key: transaction_id, value }
  })
  const known = await ask(client, 'select count(*) as value from archived_duplicates')
  const before = await ask(client, done)
  const processor = await startProcessor(true)
  try {
    const service = await startService({ ...parts, downstreamUrl: processor.url }, settings)
    await untilReady(service)
    await send(parts, values)
    const countDuplicates = async (): Promise<number> =>
      (await ask(client, 'select count(*) as value from archived_duplicates')) - known
    while ((await countDuplicates()) < values.length) {
      service.insistOnLife()
      await sleep(100)
    }
    // Whatever the records before it had led to has reached the processor too when this one has.
    const last = 'after-the-archived'
    await send(parts, [{ key: last, value: testTransaction(last).toString() }])
    await settled(client, before + 1, service)
    await service.stop()
    const arrived = (await (await fetch(processor.arrivalsUrl)).text()).trimEnd().split('\n')
    const keys = new Set(arrived.map((line) => line.split(' ')[0]))
    if (!keys.has(idempotencyKey(last))) throw new Error('the new message did not reach the processor')
    return {
      records: values.length,
      duplicates: await countDuplicates(),
      sent: values.filter(({ key }) => keys.has(idempotencyKey(key))).length,
    }
  } finally {
    await processor.stop()
  }
}

async function send(parts: Parts, messages: { key: string; value: string }[]): Promise<void> {
  const producer = new Kafka({ brokers: parts.brokers.split(','), logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  await producer.send({ topic: parts.topic, messages })
  await producer.disconnect()
}

function isGood({ archived, repeated, verify: verified }: Figures, segments: number): boolean {
  return (
    verified.withoutArchives.clean &&
    verified.withArchives.clean &&
    archived.segments === segments - 1 &&
    repeated.sent === 0 &&
    repeated.duplicates === repeated.records
  )
}

function toTable({
  servers,
  messages,
  ratePerSecond,
  delivery,
  disk,
  archived,
  repeated,
  ...rest
}: Figures): string {
  const { withoutArchives, withArchives } = rest.verify
  const tell = ({ messages: n, p50Ms, p99Ms, maxMs }: Delivery): string =>
    `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, max ${maxMs.toFixed(1)} ms   (${n} messages)`
  const size = (of: Disk): string =>
    `filled segments ${mib(of.filledBytes)} MiB, inbox ${mib(of.inboxBytes)}, all others ${mib(of.otherBytes)}; of what flowed ${mib(of.flowedBytes)}`
  const sum = (of: Disk): number => of.filledBytes + of.inboxBytes + of.otherBytes
  const change = (after: number, before: number): string => `${((after / before - 1) * 100).toFixed(1)} %`
  const check = ({ clean, seconds }: Checked): string =>
    `${clean ? 'clean' : 'NOT CLEAN'} in ${seconds.toFixed(0)} s`
  return [
    '',
    `servers      ${servers}`,
    `messages     ${messages} finished, and ${ratePerSecond} a second meanwhile`,
    `archive      ${archived.segments} segments in ${archived.seconds.toFixed(0)} s, ${mib(archived.bytes)} MiB of archives, ${archived.peakMiB} MiB of memory at most`,
    `tables       before: ${size(disk.before)}`,
    `             after:  ${size(disk.after)}`,
    `             without what flowed: ${change(sum(disk.after), sum(disk.before))}; of the segments alone: ${change(disk.after.filledBytes, disk.before.filledBytes)}`,
    `delivered    before: ${tell(delivery.before)}`,
    `             during: ${tell(delivery.during)}   (p99 ${change(delivery.during.p99Ms, delivery.before.p99Ms)})`,
    `             apart from drops: p99 ${delivery.stalls.apartP99Ms.toFixed(1)} ms; at drops: p50 ${delivery.stalls.atDropsP50Ms.toFixed(1)} ms, max ${delivery.stalls.atDropsMaxMs.toFixed(1)} ms`,
    `came again   ${repeated.records} records of archived messages: ${repeated.duplicates} duplicates, ${repeated.sent} sent`,
    `checker      without archives: ${check(withoutArchives)}; with archives: ${check(withArchives)}`,
    '',
  ].join('\n')
}

function mib(bytes: number): number {
  return Math.round(bytes / 1024 / 1024)
}

process.exitCode = await runCommand({
  usage,
  options: {
    messages: { type: 'string', default: '5000000' },
    segments: { type: 'string', default: '5' },
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    json: { type: 'string' },
    ...namedOptions,
  },
  run,
})
