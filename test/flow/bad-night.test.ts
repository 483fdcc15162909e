import t from 'tap'
import { answer } from '../deliver/processor.ts'
import { startAnswering } from '../support/answering.ts'
import { setUpLine } from '../support/line.ts'
import { boundOfFailures, decisionsOf, isDelivered, night, untilState } from '../support/night.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.jobs = 2

const holdAfter = 20
const brakeAfter = 50

t.test(
  'an outage of three times the whole schedule makes no dead letter, and wastes no request',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '1'])
    const settings = { ...line.settings, ...night }
    await Promise.all([startReadyService(t, settings), startReadyService(t, settings)])
    await line.produce(300)
    await until('payments to flow', async () => (await line.counts()).success > 100)
    await line.mock.beginOutage(8)
    await line.produce(1_200, 400)
    await untilState(line, 'held')
    await isDelivered(t, line, 1_500)
    const failed = (await line.ledger()).filter(({ status }) => status === 503).length
    t.ok(
      failed <= (await boundOfFailures(line)),
      `${failed} requests failed: no more than were open, and the probes`,
    )
    t.ok(failed < 1_200, 'most payments never met the outage')
    await untilState(line, 'flowing')
    const states = (await decisionsOf(line)).map(({ state }) => state)
    t.equal(states[0], 'held')
    t.equal(states.at(-1), 'flowing')
  },
)

t.test(
  'while every answer is 401 nothing becomes a dead letter, and little is sent',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '1', '--failure-status', '401'])
    const settings = { ...line.settings, ...night }
    const [service] = await Promise.all([startReadyService(t, settings), startReadyService(t, settings)])
    await line.mock.beginOutage(6)
    await line.produce(500)
    await untilState(line, 'held')
    await isDelivered(t, line, 500)
    const failed = (await line.ledger()).filter(({ status }) => status === 401).length
    t.ok(failed >= holdAfter && failed <= (await boundOfFailures(line)), `${failed} were refused`)
    const line1 = service.log.find(({ event }) => event === 'destination held')
    t.match(line1, {
      destination: 'default',
      cause: 'failures',
      reason: /failures in a row, the last one: HTTP 401/,
    })
  },
)

t.test(
  'refused payments among others are dead letters, and never hold the destination',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '0.95', '--failure-status', '422'])
    await startReadyService(t, { ...line.settings, ...night })
    await line.produce(1_000)
    const counts = await line.settled(1_000)
    const refused = (await line.ledger()).filter(({ status }) => status === 422).length
    t.ok(refused > 0)
    t.equal(counts.dead_letter, refused)
    t.strictSame(await decisionsOf(line), [])
    await line.isClean(t)
  },
)

t.test('one payment that always gets 500 dies alone among others', { buffered: true }, async (t) => {
  const line = await setUpLine(t)
  let poison: string | null = null
  const processor = await startAnswering(t, line, (id) => {
    poison ??= id
    const isPoison = id === poison
    return {
      effect: !isPoison,
      behave: (socket) => socket.write(answer(isPoison ? '500 Internal Server Error' : '200 OK')),
    }
  })
  await startReadyService(t, { ...line.settings, ...night, DOWNSTREAM_URL: processor.url.href })
  await line.produce(600, 100)
  t.match(await line.settled(600), { success: 599, dead_letter: 1 })
  t.strictSame(await decisionsOf(line), [])
})

t.test('when every payment is refused the brake holds', { buffered: true }, async (t) => {
  const line = await setUpLine(t, ['--success', '1', '--failure-status', '422'])
  await startReadyService(t, { ...line.settings, ...night })
  await line.mock.beginOutage(6)
  await line.produce(1_000)
  await untilState(line, 'held')
  await until(
    'all to be delivered or refused',
    async () => {
      const { success, dead_letter: dead } = await line.counts()
      return success + dead === 1_000
    },
    180_000,
  )
  const { dead_letter: dead } = await line.counts()
  t.ok(dead >= brakeAfter && dead <= (await boundOfFailures(line)), `${dead} dead letters`)
  t.match((await decisionsOf(line))[0], {
    state: 'held',
    cause: 'refusals',
    reason: /payments refused in a row/,
  })
  await line.isClean(t)
})
