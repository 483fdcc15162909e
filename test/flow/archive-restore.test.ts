import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { beginEpoch } from '../../src/log/write/begin-epoch.ts'
import { migrate } from '../../src/runtime/migrate.ts'
import { copyCluster } from '../support/copy-cluster.ts'
import { debianPrograms, findDebianPostgres, withoutDebianPostgres } from '../support/debian-postgres.ts'
import { runVerify } from '../support/line.ts'
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.ts'
import { rebuildAll } from '../support/rebuild.ts'
import { archive, fill, first, second } from '../verify/archived.ts'

const run = promisify(execFile)

/** A log with two segments that can be archived, far ahead of a fresh cluster's transaction ids. */
async function makeLog(t: Test, server: OwnPostgres): Promise<{ to: string; messages: number }> {
  await server.pool.query(`do $$ begin
    while pg_current_xact_id()::text::bigint < 20000 loop commit; end loop;
  end $$`)
  await migrate({ connectionString: server.url })
  const { to } = await fill(t, server)
  return { to, messages: await countMessages(server.pool) }
}

async function countMessages(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>('select count(*)::int as n from messages')
  return rows[0]!.n
}

async function isClean(t: Test, url: string, flags: string[], says: RegExp): Promise<void> {
  const { code, output } = await runVerify(url, flags)
  t.equal(code, 0, output)
  t.match(output, says)
}

/** A backup of before the archive, and the archives: the segments are in both. */
async function checkEarlier(
  t: Test,
  { url, pool }: OwnPostgres,
  to: string,
  messages: number,
): Promise<void> {
  t.equal(await countMessages(pool), messages)
  await isClean(t, url, [], /^clean: /m)
  await isClean(
    t,
    url,
    ['--archive', to],
    /^archive segment-000001-messages-1-30 was not checked, because the log does not remember it\. .*`npm run archive` takes it up again/m,
  )
  const again = await archive(url, ['--before', '0s', '--to', to])
  t.match(again, {
    code: 0,
    output: new RegExp(`^segment 1: archived in .*${first}: .*\nsegment 2: archived in .*${second}: `),
  })
  await checkLater(t, { url, pool }, to)
}

/** A backup of after the archive, and the archives: each segment is in one of them. */
async function checkLater(
  t: Test,
  { url, pool }: Pick<OwnPostgres, 'url' | 'pool'>,
  to: string,
): Promise<void> {
  await isClean(t, url, [], /^segment 1 .*: not checked without its archive/m)
  await isClean(t, url, ['--archive', to], /^segment 1 .*: checked with its archive/m)
  t.same(await rebuildAll(pool), [])
  const { rows } = await pool.query<{ least: string; payloads: string }>(
    'select min(message_id) as least, count(payload) as payloads from messages',
  )
  t.equal(rows[0]!.least, '61', 'the view has what is left')
  t.not(rows[0]!.payloads, '0')
}

t.test(
  'a dump of before the archive, or of after it, is whole together with the archives',
  { skip: withoutDebianPostgres },
  async (t) => {
    const binaries = await findDebianPostgres()
    const [old, young] = [await startOwnPostgres(t, { binaries }), await startOwnPostgres(t, { binaries })]
    const { to, messages } = await makeLog(t, old)
    const folder = t.testdir()
    const dump = (name: string) =>
      run(debianPrograms.pg_dump, ['--format=custom', `--file=${join(folder, name)}`, old.url])
    const restore = async (name: string) => {
      await young.pool.query('drop schema public cascade')
      await young.pool.query('create schema public')
      await run(debianPrograms.pg_restore, [`--dbname=${young.url}`, '--exit-on-error', join(folder, name)])
    }
    await dump('before')
    t.equal((await archive(old.url, ['--before', '0s', '--to', to])).code, 0)
    await dump('after')

    await restore('before')
    t.match(await archive(young.url, ['--before', '0s', '--to', to]), {
      code: 2,
      errors:
        /^The log reaches \d+ positions beyond .*: run `npm run epoch -- --reason R` once, and then this again\.$/m,
    })
    t.equal(await beginEpoch(young.pool, 'alice', 'restored'), 2)
    await t.test('before', (t) => checkEarlier(t, young, to, messages))

    await restore('after')
    t.equal(await beginEpoch(young.pool, 'alice', 'restored'), 2)
    await t.test('after', (t) => checkLater(t, young, to))
  },
)

t.test('so is a base backup of before, or of after', async (t) => {
  const server = await startOwnPostgres(t)
  const { to, messages } = await makeLog(t, server)
  const copies = ['before', 'after'].map((name) => mkdtempSync(join(tmpdir(), `tqp-${name}-`)))
  t.teardown(() => copies.forEach((copy) => rmSync(copy, { recursive: true, force: true })))
  const [before = '', after = ''] = copies
  await copyCluster(server.pool, server.cluster, join(before, 'postgres'))
  t.equal((await archive(server.url, ['--before', '0s', '--to', to])).code, 0)
  await copyCluster(server.pool, server.cluster, join(after, 'postgres'))
  await t.test('before', async (t) =>
    checkEarlier(t, await startOwnPostgres(t, { dataDir: before }), to, messages),
  )
  await t.test('after', async (t) => checkLater(t, await startOwnPostgres(t, { dataDir: after }), to))
})
