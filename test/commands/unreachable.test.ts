import { execFile } from 'node:child_process'
import t, { type Test } from 'tap'
import { explainDatabase } from '../../src/commands/explain-database.ts'
import { DatabaseUnreached } from '../../src/runtime/tool-sessions.ts'
import { createRole } from '../support/roles.ts'
import { database } from '../support/database.ts'
import { findFreePort } from '../support/free-port.ts'
import { program } from '../support/program.ts'
import { startProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import type { Ended } from './commands.ts'

/** Each command that asks the database alone, with flags that lead it there. */
const commands: readonly (readonly [name: string, ...flags: string[]])[] = [
  ['archive', '--before', '1d', '--dry-run'],
  ['rebuild'],
  ['epoch', '--reason', 'x'],
  ['destination'],
  ['destination', '--pause', '--reason', 'x'],
  ['partition', '--partition', '0', '--retry', '--reason', 'x'],
  ['replay', '--dry-run'],
  ['verify'],
]

function run(url: string, [name, ...flags]: readonly [string, ...string[]]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...program(`commands/${name}`), ...flags],
      { env: { PATH: process.env.PATH, NODE_ENV: 'test', DATABASE_URL: url } },
      (_, output, errors) => resolve({ code: child.exitCode, output, errors }),
    )
  })
}

t.test(
  'every command says in one sentence that the database cannot be reached, and why, and ends with 2',
  async (t) => {
    const own = await database(t)
    const role = await createRole(t, own)
    const secret = 'not-the-password'
    const changed = (change: (url: URL) => void): string => {
      const url = new URL(role.url)
      change(url)
      return url.href
    }
    const port = await findFreePort()
    const cases: [url: string, reason: string][] = [
      [`postgresql://postgres:${secret}@127.0.0.1:${port}/x`, `connect ECONNREFUSED 127.0.0.1:${port}`],
      [changed((url) => (url.password = secret)), `password authentication failed for user "${role.name}"`],
      [changed((url) => (url.pathname = '/not_there')), 'database "not_there" does not exist'],
    ]
    for (const [url, reason] of cases)
      for (const command of commands)
        t.strictSame(
          await run(url, command),
          { code: 2, output: '', errors: `The database cannot be reached: ${reason}.\n` },
          command.join(' '),
        )
  },
)

t.test('every command says that a database does not hold the log', async (t) => {
  const { url } = await database(t, { empty: true })
  for (const command of commands) {
    const ended = await run(url, command)
    t.match(ended, { code: 2, output: '' }, command.join(' '))
    t.match(
      ended.errors,
      /^The database does not hold the log( of this release \(.+\))?: start the service once\.\n$/,
    )
  }
})

t.test('whoever names no database is told that the embedded one was asked', (t) => {
  // A .env of whoever works here names a database.
  const folder = process.cwd()
  process.chdir(t.testdir())
  t.teardown(() => process.chdir(folder))
  const fault = new DatabaseUnreached(new Error('connect ECONNREFUSED'))
  const said = (settings: Record<string, string>): string => {
    t.intercept(process, 'env', { value: settings })
    return explainDatabase(fault)
  }
  const alone = 'The database cannot be reached: connect ECONNREFUSED.'
  t.equal(
    said({}),
    `${alone} No setting names a database, so the embedded one was asked, which runs with the service.`,
  )
  t.equal(said({ DATABASE_URL: 'postgresql://db/x' }), alone)
  t.equal(said({ POSTGRES_HOST: 'db' }), alone)
  t.end()
})

/** The same database through a proxy. */
async function behindProxy(t: Test) {
  const own = await database(t)
  const url = new URL(own.url)
  const proxy = await startProxy(t, { host: url.hostname, port: Number(url.port) })
  url.host = `127.0.0.1:${proxy.port}`
  return { pool: own.pool, proxy, url: url.href }
}

t.test('a server that takes the connection and says nothing is given up', async (t) => {
  const { proxy, url } = await behindProxy(t)
  proxy.blackhole(true)
  const ended = await Promise.all([run(url, ['destination']), run(url, ['verify'])])
  for (const each of ended)
    t.strictSame(each, {
      code: 2,
      output: '',
      errors: 'The database cannot be reached: timeout expired.\n',
    })
})

t.test('a connection that breaks in a statement leaves open whether it was done', async (t) => {
  const { pool, proxy, url } = await behindProxy(t)
  const cut = async (table: string, command: (typeof commands)[number]): Promise<Ended> => {
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query(`lock table ${table} in access exclusive mode`)
    const running = run(url, command)
    await until('the command to wait', async () => {
      const { rowCount } = await pool.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
      return rowCount === 1
    })
    proxy.cut()
    const ended = await running
    await holder.query('rollback')
    holder.release()
    return ended
  }
  const done = 'The connection to the database broke, and what was asked for may have been done'
  for (const [table, command, sentence] of [
    ['destinations', ['destination', '--pause', '--reason', 'x'], done],
    ['destinations', ['rebuild'], done],
    ['message_events', ['verify'], 'The database cannot be reached'],
  ] as const)
    t.strictSame(
      await cut(table, command),
      { code: 2, output: '', errors: `${sentence}: Connection terminated unexpectedly.\n` },
      command.join(' '),
    )
})
