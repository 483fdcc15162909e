import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { inspectServer, judgeServer } from '../../src/log/server/inspect-server.ts'
import { setUpLine } from '../support/line.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { isReady, startReadyService, startService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.test(
  'a server that may lose what it acknowledged is refused, with a sentence for each reason',
  async (t) => {
    const postgres = await startOwnPostgres(t, {
      settings: { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' },
    })
    await postgres.pool.query(`create database latin encoding 'LATIN1' locale 'C' template template0`)
    const latin = new URL(postgres.url)
    latin.pathname = '/latin'
    const nowhere = '127.0.0.1:1'
    const service = await startService(t, {
      DATABASE_URL: latin.href,
      KAFKA_BROKER: nowhere,
      DOWNSTREAM_URL: `http://${nowhere}/`,
    })
    t.equal(await service.ended, 1)
    const sentences = service.errors().trimEnd().split('\n').slice(-3)
    t.match(sentences, [
      /^The database's encoding is LATIN1: .* UTF8\.$/,
      /^PostgreSQL runs with fsync off .* set fsync to on\.$/,
      /^synchronous_commit is off for the role postgres, .* set it to on\.$/,
    ])
    t.match((await inspectServer(postgres.pool)).warnings, [/^full_page_writes is off/])
  },
)

t.test(
  'a server that may lose commits from now on gets no more of them, until it keeps them again',
  async (t) => {
    const postgres = await startOwnPostgres(t)
    const line = await setUpLine(t, ['--success', '1'], { database: postgres })
    const service = await startReadyService(t, line.settings)
    await line.produce(10)
    await line.settled(10)
    // Only sessions that begin from now on have it.
    await postgres.pool.query('alter role current_user set synchronous_commit = off')
    await postgres.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'transaction-queue-proxy'`,
    )
    await line.produce(10)
    await until('new sessions to be refused', () =>
      service.log.some(({ reason }) => /^synchronous_commit is off/.test(String(reason))),
    )
    t.match(await line.counts(), { success: 10 }, 'nothing is stored or sent')
    await postgres.pool.query('alter role current_user reset synchronous_commit')
    t.match(await line.settled(20), { success: 20 })
    await line.isClean(t)
  },
)

t.test('a server older than 15 is refused, and one that loses nothing is not', (t) => {
  const facts = {
    role: 'service',
    version: '15.2',
    version_number: 150_002,
    encoding: 'UTF8',
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'remote_apply',
    session_role: 'service',
    sees_own_sessions: true,
  }
  t.strictSame(judgeServer(facts), { role: 'service', faults: [], warnings: [] })
  t.strictSame(judgeServer({ ...facts, version: '14.19', version_number: 140_019 }).faults, [
    'PostgreSQL is 14.19: upgrade it to 15 or newer.',
  ])
  t.end()
})

t.test(
  'a standby is waited for at the start and while it runs, and the service works once it is the primary',
  async (t) => {
    const postgres = await startOwnPostgres(t)
    const line = await setUpLine(t, ['--success', '1'], { database: postgres })
    const demote = async () => {
      await postgres.stop()
      await writeFile(join(postgres.cluster, 'standby.signal'), '')
      await postgres.restart()
    }
    const promote = async () => {
      await until('the promotion', async () => {
        const { rows } = await postgres.pool.query<{ done: boolean }>('select pg_promote() as done')
        return rows[0]!.done
      })
      await rm(join(postgres.cluster, 'standby.signal'), { force: true })
    }
    await demote()
    const service = await startService(t, line.settings)
    const waits = () => service.log.filter((each) => each.event === 'waiting for PostgreSQL')
    await until('a line about the standby', () =>
      waits().some((each) => /is a standby/.test(String(each.reason))),
    )
    t.equal((await fetch(`${service.url}/status`)).status, 503)
    await promote()
    await isReady(service)
    await line.produce(10)
    await line.settled(10)

    await demote()
    await until('the outage to be seen', async () => (await fetch(`${service.url}/readyz`)).status === 503)
    await line.produce(10)
    const answers = await fetch(`${service.url}/transactions`)
    t.equal(answers.status, 503, 'nor is a standby asked, which may answer for ever')
    await promote()
    await isReady(service)
    await line.settled(20)
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)
