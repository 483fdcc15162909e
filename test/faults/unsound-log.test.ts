import type pg from 'pg'
import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { isReady, readMetric, startReadyService, startService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

type Status = {
  status: string
  detail?: string
  consumer: { last_error: string | null }
  lanes: { lane: string; last_error: string | null }[]
}

async function statusOf(service: Service): Promise<Status> {
  return (await (await fetch(`${service.url}/status`)).json()) as Status
}

/** As a restore leaves a table that it was about to fill when it failed. */
async function leaveUnmended(pool: pg.Pool): Promise<void> {
  await pool.query('alter table message_events disable trigger all')
}

async function mend(pool: pg.Pool): Promise<void> {
  await pool.query('alter table message_events enable trigger project')
  await pool.query('alter table message_events enable always trigger append_only')
}

t.test('a log whose triggers are off takes nothing, and nothing is sent twice', async (t) => {
  const line = await setUpLine(t, ['--success', '1', '--latency', '3000'])
  const settings = { ...line.settings, DOWNSTREAM_TIMEOUT: '60', LEASE: '61' }
  const service = await startReadyService(t, settings)
  await line.produce(50)
  await until('attempts to be open', async () => (await line.counts()).processing > 0)
  await leaveUnmended(line.pool)
  await until('/status to name it', async () =>
    /trigger project of message_events is off.*append_only.*message_events/.test(
      (await statusOf(service)).detail ?? '',
    ),
  )
  t.equal((await fetch(`${service.url}/readyz`)).status, 503)
  await line.produce(20)
  await until('the processor to have accepted what was open', async () => {
    const { attempt_started: started } = await line.events()
    return (await line.ledger()).length === started
  })
  const hasNoEffect = /appended to the log has no effect/
  await until('the lane to tell', async () =>
    hasNoEffect.test((await statusOf(service)).lanes[0]?.last_error ?? ''),
  )
  await until('the consumer to tell', async () =>
    /appended to the log has no effect|trigger project of message_events is off/.test(
      (await statusOf(service)).consumer.last_error ?? '',
    ),
  )
  t.ok((await line.counts()).processing > 0, 'no outcome is taken for stored')
  const { received = 0, attempt_started: started } = await line.events()
  t.equal(started, received, 'and nothing is stored that nobody would find')
  t.ok(received <= 50)

  await t.test('a start waits for it to be mended, and says for what', async () => {
    // Of the whole test: it takes its part of the work, and killed now it would leave attempts to be sent again.
    const late = await startService(t, settings)
    await until('/status to name it', async () =>
      /Starting: .*lacks what it rests on\. The trigger project/.test((await statusOf(late)).detail ?? ''),
    )
    await until('the log to name it', () =>
      late.log.some(({ reason }) => /trigger project of message_events is off/.test(String(reason))),
    )
    await mend(line.pool)
    await isReady(late)
  })

  t.match(await line.settled(70), { success: 70 })
  await until('all to be well', async () => (await statusOf(service)).status === 'healthy')
  t.equal((await line.ledger()).length, 70, 'each was sent once')
  t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
  await line.isClean(t)
})

t.test('a log without its guards stands still until it has them again', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const service = await startReadyService(t, line.settings)
  await line.pool.query('alter table inbox disable trigger append_only')
  // The sweep would find it within a minute; what ends a session may have been a restore, so it is looked for then too.
  await line.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'transaction-queue-proxy listen %'`,
  )
  await until('the line to stand still', () =>
    service.log.some(
      ({ level, event }) => level === 50 && /no payment is taken in or sent/.test(String(event)),
    ),
  )
  await line.produce(20)
  await until('the consumer to tell', async () =>
    /append_only is not on always.*inbox/.test((await statusOf(service)).consumer.last_error ?? ''),
  )
  t.match(await statusOf(service), { status: 'unhealthy', detail: /append_only is not on always.*inbox/ })
  t.same(await line.events(), {}, 'nothing is stored')
  await line.pool.query('alter table inbox enable always trigger append_only')
  t.match(await line.settled(20), { success: 20 })
  await until('all to be well', async () => (await statusOf(service)).status === 'healthy')
  t.equal(
    service.log.filter(({ event }) => /no payment is taken in or sent/.test(String(event))).length,
    1,
    'told once',
  )
  await line.isClean(t)
})
