import pg from 'pg'
import t, { type Test } from 'tap'
import { setUpLine } from '../support/line.ts'
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.ts'
import { postgresKind } from '../support/postgres-kind.ts'
import { readMetric, startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

// Before 17 the queue has 8 GB, and no setting makes it smaller.
const skip = postgresKind.major < 17

type Status = {
  status: string
  detail?: string
  database_error: string | null
  consumer: { state: string; last_error: string | null }
  lanes: { lane: string; last_error: string | null }[]
}

async function statusOf(service: Service): Promise<Status> {
  return (await (await fetch(`${service.url}/status`)).json()) as Status
}

/** A session that listens and then stays in a transaction: PostgreSQL keeps every notification from then on for it. */
async function startHolder(t: Test, { url }: OwnPostgres): Promise<{ client: pg.Client; pid: number }> {
  const client = new pg.Client({ connectionString: url, application_name: 'forgotten psql' })
  client.on('error', () => undefined)
  await client.connect()
  t.teardown(() => client.end())
  await client.query('listen x')
  await client.query('begin')
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return { client, pid: rows[0]!.pid }
}

/** Each notification takes a page of the queue; the last one is refused. */
async function fillQueue({ pool }: OwnPostgres): Promise<void> {
  for (;;) {
    try {
      await pool.query(`select pg_notify('x', repeat('a', 7900))`)
    } catch (error) {
      if (error instanceof pg.DatabaseError && error.code === '54000') return
      throw error
    }
  }
}

t.test(
  'a full queue of notifications is waited for: nothing is refused, thrown away or sent twice, and it is told who fills it',
  { skip },
  async (t) => {
    const postgres = await startOwnPostgres(t, { settings: { max_notify_queue_pages: '64' } })
    const line = await setUpLine(t, ['--success', '1', '--latency', '4000'], { database: postgres })
    const service = await startReadyService(t, { ...line.settings, DOWNSTREAM_TIMEOUT: '60', LEASE: '61' })
    const holder = await startHolder(t, postgres)
    await line.produce(50)
    await until('attempts to be open', async () => (await line.counts()).processing > 0)
    await fillQueue(postgres)
    await line.produce(20)
    await until(
      'the processor to have accepted what was open',
      async () => (await line.ledger()).length === (await line.events()).attempt_started,
    )
    const full = /too many notifications/
    await until('the lane to tell', async () =>
      full.test((await statusOf(service)).lanes[0]?.last_error ?? ''),
    )
    await until('the consumer to tell', async () =>
      full.test((await statusOf(service)).consumer.last_error ?? ''),
    )
    await until('the listener to be down, which is refused too', async () =>
      /listener/.test((await statusOf(service)).detail ?? ''),
    )
    const { status, detail, database_error } = await statusOf(service)
    t.equal(status, 'unhealthy')
    t.equal(database_error, null, 'PostgreSQL still answers')
    t.match(
      detail,
      new RegExp(`notifications is 100 % full.* session ${holder.pid} \\(forgotten psql, idle in trans`),
    )
    await until('the log to tell it', () =>
      service.log.some(
        ({ level, event, pid, open_seconds }) =>
          level === 50 &&
          event === 'notifications pile up' &&
          pid === holder.pid &&
          typeof open_seconds === 'number',
      ),
    )
    const { processing, dead_letter } = await line.counts()
    t.ok(processing > 0 && dead_letter === 0, 'what is under way waits')

    // Nobody else touches the queue from now on.
    await holder.client.end()
    t.match(await line.settled(70), { success: 70 })
    await until('all to be well', async () => (await statusOf(service)).status === 'healthy')
    t.equal((await line.ledger()).length, 70, 'each was sent once')
    t.notOk(
      service.log.some(({ event }) => /refused/.test(String(event))),
      'nothing was taken for a fault of the data',
    )
    t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
    await line.isClean(t)
  },
)
