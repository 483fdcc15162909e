import t from 'tap'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'
import {
  countRecords,
  createTopic,
  findUnaccounted,
  names,
  produce,
  readRecords,
  startConsumer,
  until,
  type TestConsumer,
} from './harness.ts'

const brokers = await startKafka(t)
const partitions = 4

t.test(
  'consumers that come and go under load lose nothing, and each offset is accounted for once',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, partitions)
    let produced = 0
    const load = new AbortController()
    const producing = (async () => {
      while (!load.signal.aborted) {
        const ids = names(`batch-${produced}`, 50)
        await produce(topic, (produced / 50) % partitions, ids)
        produced += 50
        // Enough to have every consumer at work, and no more than this machine can store meanwhile.
        await until(
          async () => load.signal.aborted || (await countRecords(pool, topic.topic)) > produced - 1_000,
        )
      }
    })()

    const stored = async (more: number) => {
      const enough = (await countRecords(pool, topic.topic)) + more
      await until(async () => (await countRecords(pool, topic.topic)) >= enough)
    }
    const share = (consumer: TestConsumer, count: number) =>
      until(() => consumer.health().assigned.length === count)
    const one = startConsumer(t, topic, pool)
    await stored(500)
    const two = startConsumer(t, topic, pool)
    await Promise.all([share(one, 2), share(two, 2)])
    await stored(500)
    const three = startConsumer(t, topic, pool)
    await until(() => three.health().assigned.length > 0)
    await stored(500)
    await one.stop()
    await Promise.all([share(two, 2), share(three, 2)])
    await stored(500)
    await three.stop()
    await share(two, partitions)
    await stored(500)
    load.abort()
    await producing
    await until(async () => (await countRecords(pool, topic.topic)) >= produced)

    t.equal(await countRecords(pool, topic.topic), produced)
    t.strictSame(await findUnaccounted(pool, topic.topic), [])
    const ids = new Set((await readRecords(pool, topic.topic)).map((record) => record.transaction_id))
    t.equal(ids.size, produced)
    t.match(two.health(), { state: 'running', up: true })
    for (const consumer of [one, two, three]) {
      t.equal(consumer.lines.filter((line) => line.event === 'consumer crashed').length, 0)
    }
  },
)
