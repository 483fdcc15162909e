import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'

// What a logical upgrade leaves: sequences are not replicated.
const fallBehind = `select setval('message_ids', (select max(message_id) from messages) - 50)`

t.test('new ids that collide with those in the log cost no payment, at the start or later', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const first = await startReadyService(t, line.settings)
  await line.produce(60)
  await line.settled(60)

  await line.pool.query(fallBehind)
  await line.produce(20)
  t.match(await line.settled(80), { success: 80 }, 'while it runs')
  const moved = { level: 40, event: /ids lay below/, ids: 'message_ids' }
  t.match(
    first.log.filter(({ event }) => /ids lay below/.test(String(event))),
    [moved],
  )
  first.kill('SIGTERM')
  await first.ended

  await line.pool.query(fallBehind)
  const second = await startReadyService(t, line.settings)
  t.match(
    second.log.filter(({ event }) => /ids lay below/.test(String(event))),
    [{ ...moved, became: /^\d+$/ }],
    'at the start',
  )
  await line.produce(20)
  t.match(await line.settled(100), { success: 100, dead_letter: 0 })
  t.equal((await line.ledger()).length, 100, 'each was sent once')
  await line.isClean(t)
})
