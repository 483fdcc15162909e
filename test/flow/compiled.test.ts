import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { examples } from '../../src/api/playground/examples.ts'
import { findDebianPostgres, stockSettings, withoutDebianPostgres } from '../support/debian-postgres.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.ts'
import { startPgbouncer, withoutPgbouncer } from '../support/pgbouncer.ts'
import { program } from '../support/program.ts'
import { createRole } from '../support/roles.ts'
import { startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

// PostgreSQL as Debian ships it compiles what the planner takes for costly. No statement of ours is: a look that was compiled took
// 224 ms instead of one. Whoever works here has roles of its own, so that what the test itself asks is told apart.

async function startStock(t: Test, settings: Record<string, string>): Promise<OwnPostgres> {
  const postgres = await startOwnPostgres(t, {
    binaries: await findDebianPostgres(),
    // What a function asks is counted by itself.
    settings: { ...stockSettings, 'pg_stat_statements.track': 'all', ...settings },
  })
  await postgres.pool.query('create extension pg_stat_statements')
  // Functions that are their owner's count as what the owner asks, whoever calls them: the test calls some too.
  await postgres.pool.query('alter role postgres set jit = off')
  await postgres.pool.query('set jit = off')
  return postgres
}

/** What was compiled on behalf of a role; each with the number of compiled pieces. */
async function compiled(
  { pool }: OwnPostgres,
  roles: string[],
): Promise<{ query: string; pieces: number }[]> {
  const { rows } = await pool.query<{ query: string; pieces: number }>(
    `select left(query, 200) as query, jit_functions::int as pieces from pg_stat_statements
      where jit_functions > 0 and userid in (select oid from pg_roles where rolname = any ($1))`,
    [roles],
  )
  return rows
}

/** All that a service does in a day: payments that fail and come back, a crash, a replay, and every question that the API answers. */
async function workADay(t: Test, line: Line, settings: Record<string, string>): Promise<void> {
  const first = await startReadyService(t, settings)
  await line.produce(100)
  await until('work to be under way', async () => (await line.counts()).success > 20)
  first.kill('SIGKILL')
  const service = await startReadyService(t, settings)
  const { dead_letter } = await line.settled(100)
  t.ok(dead_letter > 0, 'there is something to replay')
  const { rows } = await line.pool.query<{ id: string }>(
    `select transaction_id as id from messages where status = 'dead_letter' limit 1`,
  )
  const id = rows[0]!.id
  for (const path of ['status', 'metrics', 'transactions'])
    t.equal((await fetch(`${service.url}/${path}`)).status, 200, path)
  for (const { query, variables } of examples) {
    if (!/^query /m.test(query)) continue
    const answer = await ask(service, query, { ...variables, ...namesOne(query, id) })
    t.match(answer, { errors: undefined }, nameOf(query))
  }
  t.ok((await fetch(`${service.url}/replay/${id}`, { method: 'POST' })).ok)
  await line.settled(100)
  await line.isClean(t)
}

function nameOf(query: string): string {
  return /^query (\w+)/m.exec(query)?.[1] ?? query
}

/** The examples ask about a transaction of their own. */
function namesOne(query: string, id: string): Record<string, string> {
  return query.includes('$transactionId') ? { transactionId: id } : {}
}

async function ask(
  { url }: Service,
  query: string,
  variables: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  return (await answer.json()) as Record<string, unknown>
}

async function rebuild(url: string): Promise<unknown> {
  const child = spawn(process.execPath, program('commands/rebuild'), {
    env: { PATH: process.env.PATH, DATABASE_URL: url },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return code
}

const mockFlags = ['--success', '0.5', '--latency', '20']

t.test(
  'on a PostgreSQL that compiles whatever it can no session of ours has anything compiled',
  { skip: withoutDebianPostgres },
  async (t) => {
    // Above what asks no table: the first statement of a session cannot have been told yet.
    const postgres = await startStock(t, { jit_above_cost: '0.1' })
    const owner = await createRole(t, postgres, 'owner')
    const role = await createRole(t, postgres)
    await postgres.pool.query(`grant ${owner.name} to current_user`)
    await postgres.pool.query(`alter database transactions owner to ${owner.name}`)
    const line = await setUpLine(t, mockFlags, { database: { ...postgres, url: role.url } })
    await workADay(t, line, { ...line.settings, MAX_RETRIES: '2', MIGRATE_DATABASE_URL: owner.url })
    t.equal(await rebuild(role.url), 0)
    t.same(await compiled(postgres, [owner.name, role.name]), [])

    await postgres.pool.query('set jit = on')
    await postgres.pool.query('select count(*) from message_events')
    const seen = await compiled(postgres, ['postgres'])
    t.ok(
      seen.some(({ query }) => query.endsWith('from message_events')),
      'what the test asks is compiled',
    )
  },
)

t.test(
  'behind a pooler, whose sessions nobody may set, a stock PostgreSQL compiles nothing of ours',
  { skip: withoutDebianPostgres || withoutPgbouncer },
  async (t) => {
    const postgres = await startStock(t, {})
    const owner = await createRole(t, postgres, 'owner')
    const role = await createRole(t, postgres)
    await postgres.pool.query(`grant ${owner.name} to current_user`)
    await postgres.pool.query(`alter database transactions owner to ${owner.name}`)
    const line = await setUpLine(t, mockFlags, { database: { ...postgres, url: role.url } })
    const pooler = await startPgbouncer(t, role.url, 'set statement_timeout = 30000')
    await workADay(t, line, {
      ...line.settings,
      MAX_RETRIES: '2',
      DATABASE_URL: pooler.url,
      LISTEN_DATABASE_URL: role.url,
      MIGRATE_DATABASE_URL: owner.url,
    })
    t.same(await compiled(postgres, [owner.name, role.name]), [])
  },
)
