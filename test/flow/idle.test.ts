import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'

t.test('an idle service sends nothing to its tables but the sweep', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const { rows } = await line.pool.query<{ shared_preload_libraries: string }>(
    'show shared_preload_libraries',
  )
  if (!rows[0]!.shared_preload_libraries.includes('pg_stat_statements')) {
    t.pass('reads statements', { skip: 'PostgreSQL of TEST_DATABASE_URL lacks pg_stat_statements' })
    return
  }
  await line.pool.query('create extension pg_stat_statements')
  await startReadyService(t, line.settings)
  await line.produce(50)
  await line.settled(50)

  // The last look may have armed a timer for the end of a lease, which is two seconds here.
  await sleep(4_000)
  // The window itself: from one statement of this test's to the next.
  const ofThisDatabase = '(select oid from pg_database where datname = current_database())'
  await line.pool.query(`select pg_stat_statements_reset(0, ${ofThisDatabase}, 0)`)
  await sleep(8_000)
  const { rows: seen } = await line.pool.query<{ query: string; calls: number }>(
    `select query, calls::int from pg_stat_statements where dbid = ${ofThisDatabase} and query not like '%pg_stat_statements%'`,
  )
  const allowed =
    /^(select pg_notify|notify |select coalesce\(sum\(c\.missed|select fold_piece|select age_piece|select place_strays|select forget_plans|select job from replay_job_states|select\s+\(select t.tgenabled|select q.usage)/i
  t.same(
    seen.filter(({ query }) => !allowed.test(query)),
    [],
  )
})
