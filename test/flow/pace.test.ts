import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { answer } from '../deliver/processor.ts'
import { startAnswering } from '../support/answering.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { decisionsOf, isDelivered } from '../support/night.ts'
import { program } from '../support/program.ts'
import { readMetric, startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.jobs = 2

/** What `npm run destination` ends with. */
async function steer(line: Line, ...flags: string[]): Promise<unknown> {
  const child = spawn(
    process.execPath,
    [...program('commands/destination'), ...flags, '--operator', 'alice'],
    {
      env: { PATH: process.env.PATH, DATABASE_URL: line.settings.DATABASE_URL },
      stdio: 'ignore',
    },
  )
  return (await once(child, 'close'))[0]
}

t.test(
  'instances keep to one limit together, over a kill and a change of it',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '0.95'])
    const settings = { ...line.settings, RATE_LIMIT: '50', RATE_BURST: '5' }
    const [first, second] = await Promise.all([
      startReadyService(t, settings),
      startReadyService(t, settings),
    ])
    await line.produce(600)
    await until('payments to flow', async () => (await line.counts()).success > 150)
    second.kill('SIGKILL')
    await until('the other to go on', async () => (await line.counts()).success > 250)
    t.match(await (await fetch(`${first.url}/status`)).json(), { destination: { rate_limit: 50 } })
    t.equal(await readMetric(first, 'tqp_rate_limit'), 50)
    t.ok((await readMetric(first, 'tqp_throttled_seconds_total{lane="fresh"}')) > 0, 'it waits for slots')
    t.equal(
      await steer(line, '--rate', '100', '--burst', '20', '--reason', 'the processor was made faster'),
      0,
    )
    t.equal(await steer(line, '--rate', '100', '--burst', '20', '--reason', 'again'), 1, 'it has that limit')
    await startReadyService(t, settings)
    await isDelivered(t, line, 600)
    t.match(
      (await decisionsOf(line)).map(
        ({ cause, actor, state }) => `${cause} ${actor.replace(/^.*\//, '')} ${state}`,
      ),
      ['setting guard flowing', 'rate alice flowing'],
      'an instance that starts with the same setting changes nothing',
    )
    const told = () => first.log.find(({ cause }) => cause === 'rate')
    await until('the line', () => told() !== undefined)
    t.match(told(), { event: 'destination rate set', rate_limit: 100, rate_burst: 20, actor: 'alice' })
  },
)

t.test(
  'a processor that takes less than comes gets what it takes, and no dead letter',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '1', '--rate', '20'])
    const settings = { ...line.settings, MAX_DELAY: '5' }
    const [service] = await Promise.all([startReadyService(t, settings), startReadyService(t, settings)])
    await line.produce(600, 40)
    await isDelivered(t, line, 600)
    const refused = (await line.ledger()).filter(({ status }) => status === 429).length
    t.ok(refused > 0 && refused < 300, `${refused} requests were too many`)
    t.match((await decisionsOf(line))[0], { cause: 'throttled', state: 'flowing', reason: /^HTTP 429/ })
    await until('the line', () => service.log.some(({ event }) => event === 'destination throttled'))
  },
)

t.test('nobody attempts before the time that a 503 names', { buffered: true }, async (t) => {
  const line = await setUpLine(t)
  let isBusy = true
  const processor = await startAnswering(t, line, () => ({
    effect: !isBusy,
    behave: (socket) =>
      socket.write(isBusy ? answer('503 Busy', '', 'Retry-After: 5\r\n') : answer('200 OK')),
  }))
  const settings = { ...line.settings, DOWNSTREAM_URL: processor.url.href, MAX_DELAY: '10' }
  await Promise.all([startReadyService(t, settings), startReadyService(t, settings)])
  await line.produce(1)
  await until('it to be left alone', async () => (await decisionsOf(line)).length > 0)
  isBusy = false
  await line.produce(200)
  await isDelivered(t, line, 201)
  const { rows } = await line.pool.query<{ early: string[] }>(
    `select array_agg(e.recorded_at::text) filter (where e.recorded_at < n.not_before) as early
     from destination_decisions d
     join lateral (select due_at - interval '0.2 seconds' as not_before from message_events where type = 'attempt_failed' order by position limit 1) n on true
     join message_events e on e.type = 'attempt_started' and e.position > d.position
     where d.cause = 'throttled'`,
  )
  t.same(rows, [{ early: null }], 'no attempt started for five seconds')
})

t.test(
  'payments that never get an answer leave half of the retry lane to others',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t)
    const silent = new Set<string>()
    const seen = new Set<string>()
    const processor = await startAnswering(t, line, (id) => {
      if (silent.size < 6 && !seen.has(id)) silent.add(id)
      const isFirst = !seen.has(id)
      seen.add(id)
      if (silent.has(id)) return { effect: false, behave: () => undefined }
      return { effect: !isFirst, behave: (socket) => socket.write(answer(isFirst ? '503 Busy' : '200 OK')) }
    })
    await startReadyService(t, {
      ...line.settings,
      DOWNSTREAM_URL: processor.url.href,
      DOWNSTREAM_TIMEOUT: '3',
      LEASE: '5',
      HOLD_AFTER: '0',
      MAX_RETRIES: '1000',
      MAX_CONCURRENT_RETRIES: '4',
    })
    await line.produce(6)
    await until('them to be retried', async () => {
      const { rows } = await line.pool.query(
        `select from message_events where type = 'attempt_started' and attempt > 2`,
      )
      return rows.length >= 2
    })
    await line.produce(40)
    await until('the others to be delivered', async () => (await line.counts()).success === 40)
    const { rows } = await line.pool.query<{ open: number }>(
      `with attempt as (
       select s.message_id, s.position as started, coalesce(min(e.position), 9223372036854775807) as ended
       from message_events s
       join message_events f on f.message_id = s.message_id and f.version = 1
       left join message_events e on e.message_id = s.message_id and e.attempt = s.attempt and e.type = 'attempt_failed'
       where s.type = 'attempt_started' and s.attempt > 1 and f.transaction_id = any($1::text[])
       group by 1, 2, s.attempt
     )
     select count(*)::int as open from attempt a join attempt b on b.started <= a.started and b.ended > a.started
     group by a.message_id, a.started order by 1 desc limit 1`,
      [[...silent]],
    )
    t.equal(rows[0]?.open, 2, 'two of four at a time')
  },
)
