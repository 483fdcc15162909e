import t from 'tap'
import { produce } from '../../src/kafka/test-topic/produce.ts'
import { setUpLine } from '../support/line.ts'
import { readMetric, startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.test('every produced transaction ends in success or dead letter, and the log proves it', async (t) => {
  const line = await setUpLine(t)
  const service = await startReadyService(t, line.settings)
  for (const result of ['received', 'duplicate', 'conflict', 'rejected', 'hole', 'skipped']) {
    const series = `tqp_ingest_records_total{topic="${line.topic}",partition="0",result="${result}"}`
    t.equal(await readMetric(service, series), 0, `${result} is counted from 0 on`)
  }
  await line.produce(1_000)
  const counts = await line.settled(1_000)

  const metrics = (await (await fetch(`${service.url}/metrics`)).json()) as Record<string, number>
  t.equal(metrics.total, 1_000, '/metrics sums to what was produced')
  t.equal(metrics.success, counts.success)
  t.equal(metrics.dead_letter, counts.dead_letter)
  t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
  await line.isClean(t)
})

t.test('the same records again are duplicates, which are counted and not sent', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  await startReadyService(t, line.settings)
  const options = { brokers: line.brokers, topic: line.topic, count: 300, rate: null, prefix: 'AGAIN' }
  await produce({ ...options, acksPath: line.acksPath })
  await line.settled(300)
  await produce({ ...options, acksPath: line.acksPath })
  await line.produce(1)
  await line.settled(301)
  // The partitions are read side by side: the new one may come before the last of the others.
  await until('all to be read', async () => (await line.events()).duplicate_received === 300)

  t.same(await line.events(), {
    attempt_started: 301,
    duplicate_received: 300,
    received: 301,
    succeeded: 301,
  })
  await line.isClean(t)
})
