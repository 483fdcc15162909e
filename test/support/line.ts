import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import type { Test } from 'tap'
import type { Entry } from '../../src/embedded/mock/ledger.ts'
import { produce } from '../../src/kafka/test-topic/produce.ts'
import { createTopic } from '../ingest/harness.ts'
import { database, type TestDatabase } from './database.ts'
import { startKafka } from './kafka.ts'
import { startMock, type Mock } from './mock.ts'
import { program } from './program.ts'
import { until } from './until.ts'

export interface Line {
  pool: pg.Pool
  brokers: string[]
  mock: Mock
  topic: string
  acksPath: string
  /** The settings of a service on these parts, quick to retry and to take over. */
  settings: Record<string, string>
  /** Produces so many more test transactions, with a rate so many a second, and waits for their acknowledgements. */
  produce(count: number, rate?: number): Promise<void>
  /** Waits until so many messages are stored, and none of them is on its way any more. */
  settled(total: number, withinMs?: number): Promise<Counts>
  counts(): Promise<Counts>
  /** How many events of each type the log holds. */
  events(): Promise<Record<string, number>>
  /** What the processor saw, in its own words. */
  ledger(): Promise<Entry[]>
  /** The transactions that had more than one effect, under whatever keys. */
  paidTwice(): Promise<string[]>
  /** The transactions for which the processor got more requests than attempts were started. */
  sentTooOften(): Promise<string[]>
  /** What `npm run verify`, with the ledger, the acknowledgements and these flags, ends with and says. */
  verify(flags?: string[]): Promise<{ code: number | null; output: string }>
  /** Asserts that the processor got no more requests for a transaction than attempts were started. */
  isSentOnce(t: Test): Promise<void>
  /** Asserts that `npm run verify`, with the ledger and the acknowledgements, finds nothing. */
  isClean(t: Test): Promise<void>
}

type Counts = Record<'pending' | 'processing' | 'success' | 'failed' | 'dead_letter', number>

/**
 * Everything around a service, all of it real: a database, a topic, and a mock processor with a ledger of their own.
 *
 * @param given a database in place of one on the tests' common server, a broker in place of a common one, and how many partitions
 *   the topic has, where the broker's own number of them will not do
 */
export async function setUpLine(
  t: Pick<Test, 'teardown'>,
  mockFlags: string[] = [],
  given: { database?: TestDatabase; brokers?: string[]; partitions?: number } = {},
): Promise<Line> {
  const [{ url, pool }, brokers, mock] = await Promise.all([
    given.database ?? database(t),
    given.brokers ?? startKafka(t),
    startMock(t, mockFlags),
  ])
  const folder = await mkdtemp(join(tmpdir(), 'tqp-line-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const acksPath = join(folder, 'acks.jsonl')
  await writeFile(acksPath, '')
  const topic = `transactions-${randomBytes(6).toString('hex')}`
  const send = async (count: number, rate: number | null): Promise<void> => {
    const produced = await produce({ brokers, topic, count, rate, prefix: null, acksPath })
    if (produced.fault !== null || produced.acknowledged !== count) {
      throw new Error(`only ${produced.acknowledged} of ${count} acknowledged`, { cause: produced.fault })
    }
  }
  // A service never makes it.
  if (given.partitions === undefined) await send(0, null)
  else await createTopic(t, brokers, given.partitions, topic)
  const counts = async (): Promise<Counts> => {
    const { rows } = await pool.query<Record<keyof Counts, string>>('select * from status_counts()')
    return Object.fromEntries(Object.entries(rows[0]!).map(([status, n]) => [status, Number(n)])) as Counts
  }
  const ledger = async (): Promise<Entry[]> => {
    // A line without its end is still being written.
    const lines = (await readFile(mock.ledgerPath, 'utf8')).split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Entry)
  }
  const paidTwice = async (): Promise<string[]> => {
    const paid = (await ledger()).filter(({ effect }) => effect).map(({ transaction_id: id }) => id ?? '')
    const once = new Set<string>()
    return paid.filter((id) => once.size === once.add(id).size)
  }
  const sentTooOften = async (): Promise<string[]> => {
    const { rows } = await pool.query<{ transaction_id: string; attempts: number }>(
      'select transaction_id, attempts from messages',
    )
    const requests = new Map<string | null, number>()
    for (const { transaction_id: id } of await ledger()) requests.set(id, (requests.get(id) ?? 0) + 1)
    return rows
      .filter((row) => (requests.get(row.transaction_id) ?? 0) > row.attempts)
      .map((row) => row.transaction_id)
  }
  const verify = (flags: string[] = []) =>
    runVerify(url, ['--ledger', mock.ledgerPath, '--acks', acksPath, ...flags])
  return {
    pool,
    brokers,
    mock,
    topic,
    acksPath,
    settings: {
      DATABASE_URL: url,
      KAFKA_BROKER: brokers.join(','),
      KAFKA_TOPIC: topic,
      KAFKA_GROUP_ID: `group-${topic}`,
      DOWNSTREAM_URL: mock.url,
      DOWNSTREAM_TIMEOUT: '1',
      LEASE: '2',
      BASE_DELAY: '0.1',
      MAX_DELAY: '1',
      MAX_CONCURRENT_RETRIES: '50',
      PROBE_EVERY: '0.5',
    },
    produce: (count, rate) => send(count, rate ?? null),
    counts,
    async events() {
      const { rows } = await pool.query<{ type: string; events: number }>(
        'select type, count(*)::int as events from message_events group by type',
      )
      return Object.fromEntries(rows.map(({ type, events }) => [type, events]))
    },
    ledger,
    async settled(total, withinMs) {
      let now = await counts()
      const isSettled = async () => {
        now = await counts()
        return now.success + now.dead_letter === total && now.pending + now.processing + now.failed === 0
      }
      await until(`${total} messages to be settled`, isSettled, withinMs)
      return now
    },
    paidTwice,
    sentTooOften,
    verify,
    async isSentOnce(t) {
      t.same(await sentTooOften(), [], 'no attempt was sent twice')
    },
    async isClean(t) {
      const { code, output } = await verify()
      t.equal(code, 0, code === 0 ? 'verify finds nothing' : output)
    },
  }
}

export async function runVerify(
  url: string,
  flags: string[],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [...program('commands/verify'), ...flags], {
    env: { PATH: process.env.PATH, DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}
