import { pino } from 'pino'
import t from 'tap'
import { Jobs } from '../../src/dispatch/jobs.ts'
import { readJob } from '../../src/log/read/read-jobs.ts'
import { planReplay } from '../../src/log/write/plan-replay.ts'
import { startResolution } from '../../src/log/write/steer-job.ts'
import { rejectedRecord, store } from '../log/support.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'

t.test('a job whose steps fail is named once, and holds up no other job', async (t) => {
  const { pool } = await database(t)
  const by = { actor: 'alice', reason: 'closed' }
  const jobs: string[] = []
  for (const nth of [0, 1]) {
    await store(pool, [rejectedRecord(nth, 'not json')])
    const client = await pool.connect()
    const plan = await planReplay(client, { filter: {}, given: {}, ...by })
    client.release()
    if (plan.kind !== 'planned') throw new Error(`no plan: ${plan.kind}`)
    t.equal(await startResolution(pool, { plan: plan.id, as: 'ignored', ...by }), 'started')
    jobs.push(plan.id)
  }
  const [broken, whole] = jobs as [string, string]
  await pool.query(
    `create function break_step() returns trigger language plpgsql as $$ begin raise exception 'the step is broken'; end $$;
     create trigger break_step before update on replay_job_states for each row when (new.job = ${broken}) execute function break_step()`,
  )
  const lines: unknown[] = []
  const logger = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const stop = new AbortController()
  const runner = new Jobs({
    database: pool,
    instance: 'instance-1',
    ground: { fault: null },
    room: 100,
    logger,
    failpoint: () => undefined,
  })
  const running = runner.run(stop.signal)
  await until('the other job to end', async () => (await readJob(pool, whole))?.state === 'done')
  await pool.query('drop trigger break_step on replay_job_states')
  await until('it to go on', async () => (await readJob(pool, broken))?.state === 'done')
  const waits = lines.filter((line) => (line as { msg: string }).msg === 'replay jobs wait')
  t.equal(waits.length, 1)
  t.match(waits[0], { job: broken, reason: /the step is broken/ })
  stop.abort()
  await running
})
