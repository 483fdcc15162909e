import t from 'tap'
import { setUpLine, type Line } from '../support/line.ts'
import { startMock } from '../support/mock.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.jobs = 3

async function countOutcomes(line: Line): Promise<Record<string, number>> {
  const { rows } = await line.pool.query<{ outcome: string; attempts: number }>(
    'select outcome, count(*)::int as attempts from message_events where outcome is not null group by outcome',
  )
  return Object.fromEntries(rows.map(({ outcome, attempts }) => [outcome, attempts]))
}

t.test(
  'a processor that breaks its answers in every way never has an effect twice',
  { buffered: true },
  async (t) => {
    const faults = [
      'lost-answers',
      'hang',
      'reset',
      'wrong-length',
      'half-answer',
      'slow-bytes',
      'informational',
    ]
    const flags = faults.flatMap((fault) => [`--${fault}`, '0.08'])
    const line = await setUpLine(t, [...flags, '--html', '0.05', '--empty', '0.05'])
    await startReadyService(t, { ...line.settings, MAX_RETRIES: '20' })
    await line.produce(400)
    await line.settled(400)

    const outcomes = await countOutcomes(line)
    t.same(Object.keys(outcomes).sort(), ['accepted', 'unavailable', 'unknown'])
    t.equal(outcomes.accepted, 400, 'every transaction came through in the end')
    const paid = (await line.ledger()).filter(({ effect }) => effect).map(({ key }) => key)
    t.equal(new Set(paid).size, paid.length, 'no key had its effect twice')
    t.equal(paid.length, 400)
    await line.isClean(t)
  },
)

t.test('a processor that refuses all gets each transaction once', { buffered: true }, async (t) => {
  const line = await setUpLine(t, ['--status', '402'])
  await startReadyService(t, { ...line.settings, BRAKE_AFTER: '0' })
  await line.produce(100)
  t.match(await line.settled(100), { dead_letter: 100 })
  t.same(await countOutcomes(line), { refused: 100 })
  t.equal((await line.ledger()).length, 100)
  await line.isClean(t)
})

t.test('Retry-After delays a retry, but never beyond the longest delay', { buffered: true }, async (t) => {
  const line = await setUpLine(t, ['--success', '0.3', '--retry-after', '86400'])
  await startReadyService(t, {
    ...line.settings,
    MAX_RETRIES: '2',
    BASE_DELAY: '0.01',
    MAX_DELAY: '1.5',
    HOLD_AFTER: '0',
    THROTTLE_MAX: '0',
  })
  await line.produce(50)
  await line.settled(50)
  const { rows } = await line.pool.query(
    `select distinct extract(epoch from due_at - recorded_at)::float8 as delay
      from message_events where outcome = 'unavailable' and due_at is not null`,
  )
  t.same(rows, [{ delay: 1.5 }])
  await line.isClean(t)
})

t.test(
  'what waited while the processor was down is delivered when it is back',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '1'])
    await line.mock.kill()
    await startReadyService(t, { ...line.settings, MAX_RETRIES: '1000', HOLD_AFTER: '0', THROTTLE_MAX: '0' })
    await line.produce(2_000)
    await until('all to have been tried', async () => ((await line.events()).attempt_failed ?? 0) > 2_000)
    await startMock(t, ['--port', String(line.mock.port), '--ledger', line.mock.ledgerPath, '--success', '1'])
    t.match(await line.settled(2_000), { success: 2_000 })
    await line.isClean(t)
  },
)

t.test('a processor that never answers keeps no record from being stored', { buffered: true }, async (t) => {
  const line = await setUpLine(t, ['--hang', '1'])
  await startReadyService(t, {
    ...line.settings,
    DOWNSTREAM_TIMEOUT: '100',
    LEASE: '120',
    MAX_CONCURRENT: '20',
  })
  await line.produce(3_000)
  await until('all to be stored', async () => {
    const { pending, processing } = await line.counts()
    return pending + processing === 3_000
  })
  t.match(await line.counts(), { pending: 2_980, processing: 20 }, 'and as many are open as may be')
  await line.isClean(t)
})
