import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { decisionsOf, isDelivered, night, stateOf, untilState } from '../support/night.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.jobs = 2

t.test(
  'a hold survives kills of instances, of the one that probes too, and one that starts meanwhile obeys it',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '1', '--latency', '200'])
    const settings = { ...line.settings, ...night }
    const first = await startReadyService(t, settings)
    await line.mock.beginOutage(20)
    await line.produce(300)
    await untilState(line, 'held')
    // The only instance probes; it dies while its probe is open.
    await until('a probe to be open', async () => {
      const { rows } = await line.pool.query('select from destinations where probe_message_id is not null')
      return rows.length === 1
    })
    first.kill('SIGKILL')
    await first.ended
    const second = await startReadyService(t, settings)
    const third = await startReadyService(t, settings)
    await line.produce(100)
    await until(
      'the others to probe',
      async () => {
        const { rows } = await line.pool.query(
          `select from message_events e join destination_decisions d on d.decision = 1
         where e.type = 'attempt_started' and e.position > d.position and e.actor not like $1`,
          [`${String(first.log.find(({ event }) => event === 'started')?.instance)}/%`],
        )
        return rows.length > 0
      },
      120_000,
    )
    second.kill('SIGKILL')
    await line.mock.beginOutage(0)
    await isDelivered(t, line, 400)
    third.kill('SIGTERM')
  },
)

t.test('a hold survives a restart of PostgreSQL', { buffered: true }, async (t) => {
  const postgres = await startOwnPostgres(t)
  const line = await setUpLine(t, ['--success', '1'], { database: postgres })
  await startReadyService(t, { ...line.settings, ...night })
  await line.mock.beginOutage(60)
  await line.produce(200)
  await untilState(line, 'held')
  await postgres.stop()
  await postgres.restart()
  const requests = (await line.ledger()).length
  t.equal(await stateOf(line), 'held')
  await until('it to probe again', async () => (await line.ledger()).length > requests)
  await line.mock.beginOutage(0)
  await isDelivered(t, line, 200)
})

t.test(
  'a pause under load stops requests at once, and a resume starts them',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '1', '--latency', '20'])
    const settings = { ...line.settings, ...night }
    const [service] = await Promise.all([startReadyService(t, settings), startReadyService(t, settings)])
    const producing = line.produce(3_000, 600)
    await until('payments to flow', async () => (await line.counts()).success > 300)
    await line.pool.query(
      `select * from pause_destination('default', 'alice', 'the processor is being moved')`,
    )
    await until('what was open to end', async () => (await line.counts()).processing === 0)
    const { success } = await line.counts()
    await producing
    await until('ingest to store all the same', async () => {
      const { pending, failed } = await line.counts()
      return pending + failed === 3_000 - success
    })
    t.match(await line.counts(), { success, processing: 0 })
    t.equal(
      new Set((await line.ledger()).map(({ key }) => key)).size,
      success,
      'nothing was sent while it was paused',
    )
    t.equal((await fetch(`${service.url}/readyz`)).status, 200)
    await line.pool.query(`select * from resume_destination('default', 'bob', 'it is there again')`)
    await isDelivered(t, line, 3_000)
    t.match(await decisionsOf(line), [
      { state: 'paused', cause: 'operator', actor: 'alice' },
      { state: 'ramping', cause: 'operator', actor: 'bob' },
      { state: 'flowing', cause: 'ramped' },
    ])
  },
)

t.test('a pause with an end resumes by itself', { buffered: true }, async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  await startReadyService(t, { ...line.settings, ...night })
  await line.pool.query(
    `select * from pause_destination('default', 'alice', 'a short one', clock_timestamp() + interval '2 seconds')`,
  )
  await line.produce(50)
  await isDelivered(t, line, 50)
  t.match(await decisionsOf(line), [{ state: 'paused' }, { state: 'ramping', cause: 'until' }])
})

t.test('a ramp comes to its end although one answer in fifty is a failure', { buffered: true }, async (t) => {
  const line = await setUpLine(t, ['--success', '0.98', '--latency', '5'])
  const settings = { ...line.settings, ...night }
  await Promise.all([startReadyService(t, settings), startReadyService(t, settings)])
  await line.pool.query(`select from pause_destination('default', 'alice', 'maintenance')`)
  await line.produce(3_000)
  await until('all to be stored', async () => (await line.counts()).pending === 3_000)
  await line.pool.query(`select from resume_destination('default', 'alice', 'done')`)
  await isDelivered(t, line, 3_000)
  await untilState(line, 'flowing')
  const holds = (await decisionsOf(line)).filter(({ state }) => state === 'held').length
  t.ok(holds <= 2, `${holds} holds: only a first answer that is a failure ends a ramp`)
})
