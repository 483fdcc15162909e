import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.test('three kills in the middle of 3,000 messages lose nothing and repeat no effect', async (t) => {
  const line = await setUpLine(t, ['--latency', '20'])
  let service = await startReadyService(t, line.settings)
  await line.produce(3_000)
  for (const done of [400, 900, 1_400]) {
    await until(`${done} successes`, async () => (await line.counts()).success >= done)
    service.kill('SIGKILL')
    t.equal(await service.ended, 'SIGKILL')
    service = await startReadyService(t, line.settings)
  }
  await line.settled(3_000)
  const { attempt_abandoned: abandoned = 0 } = await line.events()
  t.ok(abandoned > 0, 'what the killed instances held is in the log as abandoned')
  await line.isSentOnce(t)
  await line.isClean(t)
})
