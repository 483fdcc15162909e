import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.jobs = 2

t.test(
  'SIGTERM with 200 requests in flight stores every outcome, and the next start sends only the rest',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '1', '--latency', '300'])
    const settings = { ...line.settings, DOWNSTREAM_TIMEOUT: '20', LEASE: '30', MAX_CONCURRENT: '200' }
    const service = await startReadyService(t, settings)
    await line.produce(1_500)
    await until('200 requests in flight', async () => (await line.counts()).processing >= 200)

    service.kill('SIGTERM')
    t.equal(await service.ended, 0)
    t.notOk(service.log.some(({ event }) => event === 'stopped before the drain ended'))
    const left = await line.counts()
    t.equal(left.processing, 0, 'no attempt was left open')
    t.ok(left.success > 0 && left.pending > 0, 'it stopped in the middle')

    await startReadyService(t, settings)
    await line.settled(1_500)
    t.equal((await line.ledger()).length, 1_500, 'nothing was sent twice')
    await line.isClean(t)
  },
)

t.test(
  'SIGTERM while the processor hangs ends the open requests as unknown in time',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--hang', '1'])
    const settings = { ...line.settings, DOWNSTREAM_TIMEOUT: '30', LEASE: '40' }
    const service = await startReadyService(t, settings)
    await line.produce(20)
    await until('20 requests in flight', async () => (await line.ledger()).length === 20)

    service.kill('SIGTERM')
    t.equal(await service.ended, 0)
    t.notOk(service.log.some(({ event }) => event === 'stopped before the drain ended'))
    const { rows } = await line.pool.query(
      `select outcome, reason, count(*)::int as attempts from message_events where type = 'attempt_failed' group by 1, 2`,
    )
    t.same(rows, [{ outcome: 'unknown', reason: 'the service is stopping, sent, no answer', attempts: 20 }])
    t.match(await line.counts(), { processing: 0, failed: 20 })
    await line.isClean(t)
  },
)
