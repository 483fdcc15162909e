import pg from 'pg'
import t, { type Test } from 'tap'
import { database } from '../support/database.ts'
import { setUpLine } from '../support/line.ts'
import { readMetric, startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

type Status = {
  status: string
  consumer: { state: string; last_error: string | null }
  lanes: { lane: string; last_error: string | null }[]
}

async function statusOf(service: Service): Promise<Status> {
  return (await (await fetch(`${service.url}/status`)).json()) as Status
}

/** A session that begins a transaction and leaves it open, as people in psql do. */
async function operator(t: Test, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  t.teardown(() => client.end())
  await client.query('begin')
  return client
}

const timedOut = /lock timeout/

t.test('locks that an operator holds for long are waited for, and lose and repeat nothing', async (t) => {
  const { url, pool } = await database(t)
  const line = await setUpLine(t, ['--success', '1', '--latency', '1000'], { database: { url, pool } })
  const service = await startReadyService(t, { ...line.settings, DOWNSTREAM_TIMEOUT: '20', LEASE: '60' })
  const isQuiet = async (): Promise<boolean> => {
    const { status, lanes } = await statusOf(service)
    return status === 'healthy' && lanes.every(({ last_error }) => last_error === null)
  }

  // One message whose attempt is open.
  const row = await operator(t, url)
  await line.produce(50)
  await until('an attempt to be locked', async () => {
    const { rowCount } = await row.query(
      `select from message_states where status = 'processing' limit 1 for update skip locked`,
    )
    return rowCount === 1
  })
  await line.produce(150)
  await until('all others to have succeeded', async () => (await line.counts()).success === 199)
  t.match(await line.counts(), { processing: 1 }, 'only what is locked waits')
  t.match((await statusOf(service)).lanes, [{ lane: 'fresh', last_error: timedOut }])
  await row.query('rollback')
  t.match(await line.settled(200), { success: 200 })
  await until('the lane to say that it waits no more', isQuiet)

  // The partition, as an instance would that is frozen in the middle of a slice.
  const partition = await operator(t, url)
  await partition.query('select from partitions for update')
  await line.produce(50)
  await until('the consumer to tell', async () =>
    timedOut.test((await statusOf(service)).consumer.last_error ?? ''),
  )
  t.match(await statusOf(service), { status: 'unhealthy', consumer: { state: 'waiting for the database' } })
  await partition.query('rollback')
  t.match(await line.settled(250), { success: 250 })

  // The whole log, while attempts are open.
  await line.produce(100)
  const table = await operator(t, url)
  await until('attempts to be open', async () => (await line.counts()).processing > 0)
  await table.query('lock table message_events in access exclusive mode')
  await until('the lane to tell', async () =>
    timedOut.test((await statusOf(service)).lanes[0]?.last_error ?? ''),
  )
  await table.query('rollback')
  t.match(await line.settled(350), { success: 350 })
  await until('all to be well', isQuiet)

  t.equal((await line.ledger()).length, 350, 'each was sent once')
  t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
  await line.isClean(t)
})
