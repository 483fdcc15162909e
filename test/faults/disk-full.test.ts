import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { setUpLine, type Line } from '../support/line.ts'
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.ts'
import { readMetric, startReadyService, type Service } from '../support/service.ts'
import { mountSmallDisk, withoutMount, type SmallDisk } from '../support/small-disk.ts'
import { until } from '../support/until.ts'

// They wait for most of their time.
t.jobs = 2

const skip = withoutMount
const total = 1_500

type Status = {
  status: string
  database_error: string | null
  listener: { up: boolean }
  consumer: { state: string; last_error: string | null }
  lanes: { lane: string; last_error: string | null }[]
}

type Parts = {
  disk: SmallDisk
  postgres: OwnPostgres
  line: Line
  service: Service
  producing: Promise<void>
}

async function statusOf(service: Service): Promise<Status> {
  return (await (await fetch(`${service.url}/status`)).json()) as Status
}

/**
 * A server whose data and whose WAL lie on different disks, one of them small. A checkpoint would make PostgreSQL panic once
 * the small one is full, so there is none but those that a test asks for.
 */
async function startOnTwoDisks(t: Test, disk: SmallDisk, small: 'data' | 'wal'): Promise<OwnPostgres> {
  const large = await mkdtemp(join(tmpdir(), 'tqp-disk-full-'))
  t.teardown(() => rm(large, { recursive: true, force: true }))
  await chmod(large, 0o755)
  const [dataDir, walDir] = small === 'data' ? [disk.path, large] : [large, disk.path]
  const settings = { min_wal_size: '32MB', max_wal_size: '2GB', checkpoint_timeout: '1h' }
  const postgres = await startOwnPostgres(t, { dataDir, settings })
  await postgres.stop()
  const wal = join(postgres.cluster, 'pg_wal')
  execFileSync('cp', ['-a', wal, walDir])
  await rm(wal, { recursive: true })
  await symlink(join(walDir, 'pg_wal'), wal)
  await postgres.restart()
  return postgres
}

/** A service under load, with work on its way at every step. */
async function setUp(t: Test, small: 'data' | 'wal'): Promise<Parts> {
  const disk = mountSmallDisk(t, small === 'data' ? 160 : 80)
  const postgres = await startOnTwoDisks(t, disk, small)
  // Several hundred attempts are open at each moment: their outcomes need more room than the log's last pages have left.
  const line = await setUpLine(t, ['--success', '1', '--latency', '1500'], { database: postgres })
  // An answer that takes long on a busy machine is no outcome unknown; a lease ends during the outage all the same.
  const unhurried = { MAX_CONCURRENT: '500', DOWNSTREAM_TIMEOUT: '10', LEASE: '12' }
  const service = await startReadyService(t, { ...line.settings, ...unhurried })
  const producing = line.produce(total, 300)
  await until('work to be under way', async () => (await line.counts()).success > 100)
  return { disk, postgres, line, service, producing }
}

async function isWhole(t: Test, { line, service, producing }: Parts): Promise<void> {
  await producing
  t.match(await line.settled(total), { success: total })
  await until('all to be well', async () => (await statusOf(service)).status === 'healthy')
  const accepted = new Set<string | null>()
  const again: (string | null)[] = []
  for (const { key, status } of await line.ledger()) {
    if (accepted.has(key)) again.push(key)
    if (status === 200) accepted.add(key)
  }
  t.same(again, [], 'nothing that had been accepted was sent again')
  t.notOk(
    service.log.some(({ event }) => /refused/.test(String(event))),
    'nothing was taken for a fault of the data',
  )
  t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
  await line.isSentOnce(t)
  await line.isClean(t)
}

t.test(
  'a full disk is told of and waited for under load, and the service goes on by itself when there is room',
  { buffered: true, skip },
  async (t) => {
    const parts = await setUp(t, 'data')
    const { disk, postgres, line, service } = parts
    const noRoom = /No space left/
    disk.fill()
    await until('the consumer to tell', async () =>
      noRoom.test((await statusOf(service)).consumer.last_error ?? ''),
    )
    await until('the lane to tell', async () =>
      noRoom.test((await statusOf(service)).lanes[0]?.last_error ?? ''),
    )
    const { status, database_error, listener, consumer } = await statusOf(service)
    t.equal(status, 'unhealthy')
    t.equal(database_error, null, 'PostgreSQL still answers')
    t.equal(listener.up, true)
    t.equal(consumer.state, 'waiting for the database')
    for (const event of ['partition held', 'outcomes wait for the database']) {
      await until(`the log to say: ${event}`, () =>
        service.log.some((line) => line.event === event && noRoom.test(String(line.reason))),
      )
    }
    await until('the leases of all open attempts to have ended', async () => {
      const { rows } = await postgres.pool.query<{ ended: boolean }>(
        `select coalesce(every(lease_ends_at < now()), false) as ended from message_states where status = 'processing'`,
      )
      return rows[0]!.ended
    })
    const before = await line.counts()
    t.ok(before.processing > 0 && before.success < total, 'what is under way waits')
    disk.free()
    await isWhole(t, parts)
  },
)

t.test(
  'a PostgreSQL that a full disk for its WAL brings down is waited for until it is started again',
  { buffered: true, skip },
  async (t) => {
    const parts = await setUp(t, 'wal')
    const { disk, postgres, service } = parts
    disk.fill()
    // Its recovery may try for minutes before it gives up.
    const isRecovering = /not yet accepting connections/
    await until('PostgreSQL to be down, or to recover', async () => {
      // It has segments in reserve, which are used up sooner so.
      const fault = await postgres.pool.query('select pg_switch_wal()').catch((error: unknown) => error)
      return !postgres.isAlive() || (fault instanceof Error && isRecovering.test(fault.message))
    })
    await until('the outage to be told', async () => {
      const { database_error, consumer, lanes } = await statusOf(service)
      const reasons = [database_error, consumer.last_error, lanes[0]?.last_error]
      return reasons.every((reason) => /ECONNREFUSED/.test(reason ?? '') || isRecovering.test(reason ?? ''))
    })
    disk.free()
    await postgres.restart()
    await isWhole(t, parts)
  },
)

t.test(
  'a PostgreSQL that panics in a checkpoint on a full disk, comes back or not, costs nothing either',
  { buffered: true, skip },
  async (t) => {
    const parts = await setUp(t, 'data')
    const { disk, postgres, service } = parts
    disk.fill()
    await until('PostgreSQL to panic', async () => {
      const error = await postgres.pool.query('checkpoint').catch((error: unknown) => error)
      return error instanceof Error && !(error instanceof pg.DatabaseError && error.severity === 'ERROR')
    })
    await until('the outage to be told', async () =>
      /ECONNREFUSED|No space left/.test((await statusOf(service)).consumer.last_error ?? ''),
    )
    // Its recovery needs a little room too, and may find it.
    await until('PostgreSQL to be up or down', async () => {
      const answers = postgres.pool.query('select 1').then(() => true)
      return (await answers.catch(() => false)) || !postgres.isAlive()
    })
    disk.free()
    await postgres.restart()
    await isWhole(t, parts)
  },
)
