import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import t from 'tap'
import { startApacheKafka } from '../support/apache-kafka.ts'
import { whyNoApacheKafka } from '../support/apache-kafka/missing.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { isReady, startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

// In the gate a run of a minute; TORTURE_RECORDS=20000 is the long one.
const count = Number(process.env.TORTURE_RECORDS ?? 6_000)
// The rate stretches the run over all that is done to it, and what is produced while the broker is down waits for it.
const rate = count / 50
const rebalanceEveryMs = 2_000
// Beyond Kafka's session timeout of 10 s and the leases of 2 s.
const frozenMs = 13_000

t.test(
  `${count} records through a rebalance every 2 s, two kills, a freeze and a broker's restart: each accounted for, no effect twice`,
  { timeout: 280_000, skip: await whyNoApacheKafka() },
  async (t) => {
    const broker = await startApacheKafka(t)
    const line = await setUpLine(t, ['--success', '0.9', '--latency', '100'], { brokers: broker.brokers })
    let one = await startReadyService(t, line.settings)
    let other = await startReadyService(t, line.settings)
    const over = new AbortController()
    const producing = line.produce(count, rate)
    const rebalancing = rebalance(line, over.signal)

    const stored = (share: number) =>
      until(`${share} of the records to be stored`, async () => (await total(line)) >= share * count)
    await stored(0.15)
    one.kill('SIGKILL')
    one = await startReadyService(t, line.settings)
    await stored(0.3)
    await broker.restart()
    await stored(0.45)
    other.kill('SIGSTOP')
    await sleep(frozenMs)
    other.kill('SIGCONT')
    await stored(0.7)
    other.kill('SIGKILL')
    other = await startReadyService(t, line.settings)

    await producing
    over.abort()
    const rebalances = await rebalancing
    await line.settled(count)
    await Promise.all([isReady(one), isReady(other)])

    t.ok(rebalances > 5, `${rebalances} strangers came to the group and left it`)
    await line.isSentOnce(t)
    t.same(await line.paidTwice(), [], 'no effect twice')
    const { attempt_abandoned: abandoned = 0, duplicate_received: duplicates = 0 } = await line.events()
    t.ok(abandoned > 0, `${abandoned} attempts were abandoned by the kills and the freeze`)
    t.comment(`${rebalances} rebalances, ${abandoned} attempts abandoned, ${duplicates} duplicates received`)
    await line.isClean(t)
  },
)

async function total(line: Line): Promise<number> {
  return Object.values(await line.counts()).reduce((sum, each) => sum + each, 0)
}

/** Has a stranger come to the group, take its partitions and leave again, over and over; says how many did. */
async function rebalance(line: Line, signal: AbortSignal): Promise<number> {
  const kafka = new Kafka({ clientId: 'stranger', brokers: line.brokers, logLevel: logLevel.NOTHING })
  let rebalances = 0
  while (!signal.aborted) {
    const startedAt = performance.now()
    const stranger = kafka.consumer({
      groupId: line.settings.KAFKA_GROUP_ID!,
      sessionTimeout: 10_000,
      // One that starts again by itself after it was sent away would keep a partition for ever.
      retry: { restartOnFailure: () => Promise.resolve(false) },
    })
    try {
      await stranger.connect()
      await stranger.subscribe({ topic: line.topic, fromBeginning: true })
      const { GROUP_JOIN, CRASH } = stranger.events
      const joined = new Promise<boolean>((resolve) => {
        stranger.on(GROUP_JOIN, () => resolve(true))
        stranger.on(CRASH, () => resolve(false))
      })
      // It reads and commits nothing: what it is given it leaves to those who come after it.
      await stranger.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: () => Promise.resolve(),
      })
      // Not sent away before: who leaves in the middle of a join may come back.
      if (await joined) rebalances++
    } catch {
      // The broker is down; the next one may find it up.
    } finally {
      await stranger.disconnect().catch(() => undefined)
    }
    await sleep(Math.max(0, rebalanceEveryMs - (performance.now() - startedAt)))
  }
  return rebalances
}
