import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

// What a logical upgrade leaves: sequences are not replicated.
const fallBehind = `select setval('message_ids', 1)`

function linesOf({ log }: Service): Record<string, unknown>[] {
  return log.filter(({ event }) => /ids were below ids in the log/.test(String(event)))
}

t.test('new ids that collide with those in the log cost no payment, at the start or later', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const first = await startReadyService(t, line.settings)
  await line.produce(60)
  await line.settled(60)

  await line.pool.query(fallBehind)
  await line.produce(5)
  t.match(await line.settled(65), { success: 65, dead_letter: 0 }, 'while it runs')
  const moved = { level: 40, event: /ids were below ids in the log/, ids: 'message_ids' }
  await until('the line that tells of it', () => linesOf(first).length > 0)
  t.match(linesOf(first), [moved])
  first.kill('SIGTERM')
  await first.ended

  await line.pool.query(fallBehind)
  const second = await startReadyService(t, line.settings)
  await until('the line that tells of it at the start', () => linesOf(second).length > 0)
  t.match(linesOf(second), [{ ...moved, became: /^\d+$/ }])
  await line.produce(5)
  t.match(await line.settled(70), { success: 70, dead_letter: 0 })
  t.equal((await line.ledger()).length, 70, 'each was sent once')
  await line.isClean(t)
})
