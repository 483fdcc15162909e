import pg from 'pg'
import t, { type Test } from 'tap'
import { signal } from '../../src/embedded/postgres/process.ts'
import { setUpLine } from '../support/line.ts'
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.ts'
import { readMetric, startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

type Status = {
  status: string
  database: string
  listener: { up: boolean }
  consumer: { state: string; last_error: string | null }
}

const poolMax = 10

async function statusOf(service: Service): Promise<Status> {
  return (await (await fetch(`${service.url}/status`)).json()) as Status
}

/** Keeps every statement on the log waiting, and freezes the server's process of each that waits. */
async function freezer(t: Test, postgres: OwnPostgres) {
  const operator = new pg.Client({ connectionString: postgres.url })
  await operator.connect()
  const frozen = new Set<number>()
  const thaw = (): void => frozen.forEach((pid) => signal(pid, 'SIGCONT'))
  t.teardown(async () => {
    thaw()
    await operator.end()
  })
  await operator.query('begin')
  await operator.query('lock table message_events in access exclusive mode')
  return {
    /** Gives how many are frozen by now. */
    freeze: async (): Promise<number> => {
      const { rows } = await postgres.pool.query<{ pid: number }>(
        `select pid from pg_stat_activity
          where application_name = 'transaction-queue-proxy' and wait_event_type = 'Lock'`,
      )
      for (const { pid } of rows) {
        signal(pid, 'SIGSTOP')
        frozen.add(pid)
      }
      return frozen.size
    },
    release: async (): Promise<void> => {
      await operator.query('rollback')
      thaw()
    },
  }
}

t.test(
  'with every connection of the pool hung the service says so, its API and listener go on, and all else waits',
  async (t) => {
    const postgres = await startOwnPostgres(t)
    // More than the pool has connections: the slice of each partition takes one.
    const given = { database: postgres, partitions: 12 }
    const line = await setUpLine(t, ['--success', '1', '--latency', '30'], given)
    const unhurried = { DOWNSTREAM_TIMEOUT: '20', LEASE: '60' }
    const service = await startReadyService(t, { ...line.settings, ...unhurried })
    const producing = line.produce(1_500, 100)
    await until('work to be under way', async () => (await line.counts()).success > 100)

    const { freeze, release } = await freezer(t, postgres)
    await until('every connection to hang', async () => (await freeze()) === poolMax)
    const noneLeft = /timeout exceeded when trying to connect/
    await until('the consumer to tell', async () =>
      noneLeft.test((await statusOf(service)).consumer.last_error ?? ''),
    )
    const { database, listener, consumer } = await statusOf(service)
    t.equal(database, 'connected', 'the API has connections of its own')
    t.equal(listener.up, true)
    t.equal(consumer.state, 'waiting for the database')
    await until('the log to say so too', () =>
      service.log.some(({ reason }) => noneLeft.test(String(reason))),
    )
    await release()

    await producing
    t.match(await line.settled(1_500), { success: 1_500 })
    await until('all to be well', async () => (await statusOf(service)).status === 'healthy')
    const accepted = (await line.ledger()).filter(({ status }) => status === 200)
    t.equal(accepted.length, 1_500, 'nothing that had been accepted was sent again')
    t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)
