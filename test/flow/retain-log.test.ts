import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { migrate } from '../../src/runtime/migrate.ts'
import { verify } from '../../src/verify/verify.ts'
import { database } from '../support/database.ts'
import { setUpLine } from '../support/line.ts'
import { createRole } from '../support/roles.ts'
import { readMetric, startReadyService, startService, type Service } from '../support/service.ts'
import { mountSmallDisk, withoutMount } from '../support/small-disk.ts'
import { until } from '../support/until.ts'

function makeFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'tqp-archives-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

type Standing = { last_run_at: string | null; waits_for: string | null } | null

async function standingOf(service: Service): Promise<Standing> {
  const status = (await (await fetch(`${service.url}/status`)).json()) as { log_retention: Standing }
  return status.log_retention
}

t.test(
  'a service with an owner beside its own role archives by itself while payments go on, also after a kill -9',
  async (t) => {
    const empty = await database(t, { empty: true })
    const owner = await createRole(t, empty, 'owner')
    const role = await createRole(t, empty)
    const name = new URL(empty.url).pathname.slice(1)
    await empty.pool.query(`grant ${owner.name} to current_user`)
    await empty.pool.query(`alter database ${name} owner to ${owner.name}`)
    const line = await setUpLine(t, ['--success', '1'], { database: { ...empty, url: role.url } })
    const directory = makeFolder(t)
    // An answer that takes long on a busy machine is no failure.
    const unhurried = { DOWNSTREAM_TIMEOUT: '20', LEASE: '22' }
    const settings = {
      ...line.settings,
      ...unhurried,
      MIGRATE_DATABASE_URL: owner.url,
      SEGMENT_MESSAGES: '1000',
    }
    const without = await startReadyService(t, settings)
    t.equal(await standingOf(without), null)
    await line.produce(1_500)
    await line.settled(1_500)
    without.kill('SIGTERM')
    t.equal(await without.ended, 0)

    const retention = { ...settings, RETAIN_LOG: '1s', ARCHIVE_DIR: directory }
    const killed = await startReadyService(t, retention)
    await until('an archive to be begun', () => readdirSync(directory).length > 0)
    killed.kill('SIGKILL')
    await killed.ended

    const service = await startReadyService(t, retention)
    const producing = line.produce(1_000, 500)
    await producing
    await line.settled(2_500)
    // All but the one that new messages get their ids from, and the one ahead.
    await until('the others to be archived', async () => {
      const { rows } = await line.pool.query<{ left: number; archived: number }>(
        `select ((select count(*) from log_segments) - count(*))::int as left, count(*)::int as archived from segment_archives`,
      )
      return rows[0]!.left <= 2 && rows[0]!.archived >= 1
    })
    const { rows } = await line.pool.query<{ reason: string; named: boolean }>(
      `select distinct a.reason, exists (select from instances i where a.actor = i.instance || '/retention') as named
       from segment_archives a`,
    )
    t.strictSame(rows, [{ reason: 'RETAIN_LOG: 1s', named: true }])
    await until('the status to tell of a run', async () => {
      const standing = await standingOf(service)
      return standing?.waits_for === null && standing.last_run_at !== null
    })
    t.ok((await readMetric(service, 'tqp_last_archive_timestamp_seconds')) > 0)
    t.same(
      readdirSync(directory).filter((each) => each.startsWith('.')),
      [],
    )
    t.equal(await readMetric(service, 'tqp_retention_waits'), 0)
    service.kill('SIGTERM')
    t.equal(await service.ended, 0)
    const files = { ledgerPath: line.mock.ledgerPath, acksPath: line.acksPath, archives: [directory] }
    const { invariants } = await verify({ databaseUrl: role.url, ...files })
    t.same(
      invariants.filter(({ differences }) => differences > 0),
      [],
    )
  },
)

t.test(
  'a service whose archives would lie in memory is refused at the start',
  { skip: withoutMount },
  async (t) => {
    const { url } = await database(t)
    const { path } = mountSmallDisk(t, 1)
    const line = { DATABASE_URL: url, KAFKA_BROKER: '127.0.0.1:1', DOWNSTREAM_URL: 'http://127.0.0.1:1' }
    const service = await startService(t, { ...line, RETAIN_LOG: '1d', ARCHIVE_DIR: path })
    t.equal(await service.ended, 1)
    t.match(
      service.errors(),
      /^ARCHIVE_DIR: \S+ is in memory \(tmpfs\): archives there are lost .* Name a folder on a disk\.$/m,
    )
  },
)

t.test('a service whose role does not own the log is refused at the start', async (t) => {
  const own = await database(t)
  const role = await createRole(t, own)
  await migrate({ connectionString: own.url }, role.name)
  const line = { DATABASE_URL: role.url, KAFKA_BROKER: '127.0.0.1:1', DOWNSTREAM_URL: 'http://127.0.0.1:1' }
  const service = await startService(t, { ...line, RETAIN_LOG: '1d', ARCHIVE_DIR: makeFolder(t) })
  t.equal(await service.ended, 1)
  t.match(
    service.errors(),
    /^RETAIN_LOG needs the owner of the tables, .* MIGRATE_DATABASE_URL, or leave RETAIN_LOG out/m,
  )
})
