import t, { type Test } from 'tap'
import type { Pool } from 'pg'
import { Committer } from '../../src/ingest/committer.ts'
import type { Commit } from '../../src/kafka/fetched-batch.ts'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'
import { until } from '../support/until.ts'
import {
  countRecords,
  createTopic,
  names,
  produce,
  readCommitted,
  recordLines,
  startConsumer,
  waitForLine,
} from './harness.ts'

const brokers = await startKafka(t)

t.test('Kafka is told once a second at most, however many batches are stored', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 3)
  let commits = 0
  const failpoint = (name: string) => void (commits += name === 'offset.before_commit' ? 1 : 0)
  const consumer = startConsumer(t, topic, pool, { failpoint })
  await until('the consumer', () => consumer.health().state === 'running')
  const batches = 60
  const startedAt = performance.now()
  for (let sent = 0; sent < batches; sent++) {
    await produce(topic, sent % 3, [`${topic.topic}-${sent}`])
    await until('the record', async () => (await countRecords(pool, topic.topic)) === sent + 1)
  }
  const seconds = (performance.now() - startedAt) / 1_000
  t.ok(commits <= seconds + 2, `${commits} commits in ${seconds} s`)
  await until('the last commit', async () => (await readCommitted(topic)).join() === '20,20,20')
  t.match(await waitForLine(consumer, 'batch ingested', { partition: 2, next: 20 }), { committed: true })
  await until('a line for each batch', () => countLines(consumer.lines) === batches)
})

t.test('after a stop the group stands where PostgreSQL does', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 3)
  const consumer = startConsumer(t, topic, pool)
  for (const partition of [0, 1, 2])
    await produce(topic, partition, names(`${topic.topic}-${partition}`, 700))
  // In the middle of the work: a commit has just gone, and slices are in hand.
  await until('the first records', async () => (await countRecords(pool, topic.topic)) > 0)
  await consumer.stop()
  const stored = await readNextOffsets(pool, topic.topic)
  const committed = await readCommitted(topic)
  t.strictSame(
    committed.map((offset) => Math.max(0, Number(offset))),
    [0, 1, 2].map((partition) => stored.get(partition) ?? 0),
  )
})

t.test('the first position is told at once, and later ones of all partitions together', async (t) => {
  const { committer, told, commit } = start(t)
  const first = committer.note(0, 10n, commit)
  t.strictSame(told, [{ 0: '10' }])
  t.equal(await first, true)
  const later = [
    committer.note(1, 5n, commit),
    committer.note(0, 11n, commit),
    committer.note(0, 12n, commit),
  ]
  t.equal(told.length, 1)
  t.strictSame(await Promise.all(later), [true, true, true])
  t.strictSame(told, [{ 0: '10' }, { 0: '12', 1: '5' }])
})

t.test('what Kafka did not take is told again', async (t) => {
  const { committer, told, commit } = start(t)
  t.equal(await committer.note(0, 10n, () => Promise.reject(new Error('evicted'))), false)
  t.equal(await committer.note(1, 5n, commit), true)
  t.strictSame(told, [{ 0: '10', 1: '5' }])
})

t.test('a revocation tells at once, and a join forgets what others hold now', async (t) => {
  const { committer, told, commit } = start(t)
  await committer.note(0, 10n, commit)
  const revoked = committer.note(0, 11n, commit)
  await committer.flush()
  t.equal(await revoked, true)
  t.strictSame(told, [{ 0: '10' }, { 0: '11' }])
  const lost = committer.note(0, 12n, commit)
  const kept = committer.note(1, 5n, commit)
  committer.hold([1])
  t.strictSame(await Promise.all([lost, kept]), [false, false])
  t.equal(await committer.note(0, 13n, commit), false)
  await until('the kept one', () => told.length === 3)
  t.strictSame(told[2], { 1: '5' })
})

t.test('on leaving everything is told at once, and nothing once it has left', async (t) => {
  const { committer, told, commit } = start(t)
  await committer.note(0, 10n, commit)
  void committer.note(0, 11n, commit)
  await committer.leave()
  t.equal(await committer.note(1, 5n, commit), true)
  t.strictSame(told, [{ 0: '10' }, { 0: '11' }, { 1: '5' }])
  committer.close()
  t.equal(await committer.note(1, 6n, commit), false)
})

/** A committer that holds partitions 0 and 1, and a commit that notes what it was told. */
function start(t: Test) {
  const committer = new Committer('topic', recordLines().logger, () => undefined)
  committer.hold([0, 1])
  t.teardown(() => committer.close())
  const told: Record<number, string>[] = []
  const commit: Commit = (positions) => {
    told.push(Object.fromEntries([...positions].map(([partition, { next }]) => [partition, String(next)])))
    return Promise.resolve()
  }
  return { committer, told, commit }
}

function countLines(lines: readonly { event: string }[]): number {
  return lines.filter(({ event }) => event === 'batch ingested').length
}

async function readNextOffsets(pool: Pool, topic: string): Promise<Map<number, number>> {
  const { rows } = await pool.query<{ partition: number; next: number }>(
    `select p.partition, max(a.next_offset)::int as next from partitions p
       join partition_advances a using (partition_id) where p.topic = $1 group by 1`,
    [topic],
  )
  return new Map(rows.map(({ partition, next }) => [partition, next]))
}
