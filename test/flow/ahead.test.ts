import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { readMetric, startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.test('a kill while attempts are claimed ahead loses nothing and repeats no effect', async (t) => {
  const line = await setUpLine(t, ['--success', '1', '--latency', '5'])
  const settings = { ...line.settings, MAX_CONCURRENT: '10', LEASE: '5' }
  const doomed = await startReadyService(t, settings)
  let produced = 0
  await until('attempts to be claimed ahead', async () => {
    await line.produce(1_000)
    produced += 1_000
    return (await readMetric(doomed, 'tqp_claimed_ahead{lane="fresh"}')) > 10
  })
  doomed.kill('SIGKILL')
  await startReadyService(t, { ...settings, KAFKA_GROUP_ID: `${line.topic}-next` })
  await line.settled(produced)
  const { attempt_abandoned: abandoned = 0 } = await line.events()
  t.ok(abandoned <= 110, `${abandoned} were abandoned: at most the limit and what may be claimed ahead`)
  await line.isSentOnce(t)
  await line.isClean(t)
})
