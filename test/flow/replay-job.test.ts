import t from 'tap'
import { idempotencyKey } from '../../src/message/idempotency-key.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { startMock, type Mock } from '../support/mock.ts'
import { readMetric, startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

async function ask<Data>(service: Service, query: string, variables: object = {}): Promise<Data> {
  const response = await fetch(`${service.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  const answer = (await response.json()) as { data: Data | null; errors?: unknown }
  if (answer.data === null || answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  return answer.data
}

type Job = {
  state: string
  replayed: string
  succeeded: string
  failedAgain: string
  skipped: string
  left: string
  stoppedBecause: string | null
}

async function jobOf(service: Service, id: string): Promise<Job> {
  const data = await ask<{ replayJob: Job }>(
    service,
    'query ($id: ID!) { replayJob(id: $id) { state replayed succeeded failedAgain skipped left stoppedBecause } }',
    { id },
  )
  return data.replayJob
}

async function plan(service: Service): Promise<{ id: string; count: string }> {
  const planning = `mutation { planReplay(filter: {}, reason: "the processor is back") { ... on ReplayPlan { id count } } }`
  return (await ask<{ planReplay: { id: string; count: string } }>(service, planning)).planReplay
}

async function start(service: Service, id: string, more: string): Promise<void> {
  const answer = await ask<{ startReplay: { id?: string } }>(
    service,
    `mutation ($id: ID!) { startReplay(plan: $id, ${more}) { ... on ReplayJob { id } } }`,
    { id },
  )
  if (answer.startReplay.id !== id) throw new Error(`job ${id} was not started`)
}

async function deadLetters(line: Line): Promise<string[]> {
  const { rows } = await line.pool.query<{ transaction_id: string }>(
    `select transaction_id from messages where status = 'dead_letter' order by message_id`,
  )
  return rows.map((row) => row.transaction_id)
}

async function runnerOf(line: Line): Promise<string> {
  const { rows } = await line.pool.query<{ runner: string }>('select runner from replay_job_states')
  return rows[0]?.runner ?? ''
}

function instanceOf({ log }: Service): string {
  return String(log.find(({ event }) => event === 'started')?.instance)
}

/** A processor on the port of the one before. */
async function replaceMock(t: Parameters<typeof startMock>[0], mock: Mock, flags: string[]): Promise<Mock> {
  const { port, ledgerPath } = mock
  await mock.stop()
  return startMock(t, ['--port', String(port), '--ledger', ledgerPath, ...flags])
}

t.test('a job replays its frozen set over a kill, each once, while live payments flow', async (t) => {
  const line = await setUpLine(t, ['--status', '400'])
  const settings = {
    ...line.settings,
    MAX_CONCURRENT: '100',
    DOWNSTREAM_TIMEOUT: '5',
    LEASE: '10',
    HOLD_AFTER: '0',
    BRAKE_AFTER: '0',
  }
  const services = await Promise.all([startReadyService(t, settings), startReadyService(t, settings)])
  await line.produce(600)
  t.match(await line.settled(600), { dead_letter: 600 })
  const { id, count } = await plan(services[0])
  t.equal(count, '600')
  const frozen = new Set(await deadLetters(line))
  // What becomes a dead letter after the plan stays one.
  await line.produce(50)
  t.match(await line.settled(650), { dead_letter: 650 })
  await replaceMock(t, line.mock, ['--success', '1', '--latency', '20'])
  const before = (await line.ledger()).length

  await start(services[0], id, 'perSecond: 100')
  const live = line.produce(200, 50)
  await until('30 % to be replayed', async () => Number((await jobOf(services[1], id)).replayed) >= 180)
  const runner = await runnerOf(line)
  const [killed, other] = runner.startsWith(instanceOf(services[0]))
    ? services
    : ([services[1], services[0]] as const)
  killed.kill('SIGKILL')
  await killed.ended
  await until('the other to finish', async () => (await jobOf(other, id)).state === 'DONE')
  await live
  const counts = await line.settled(850)
  t.match(counts, { dead_letter: 50, success: 800 })
  t.match(await jobOf(other, id), { replayed: '600', skipped: '0', left: '0' })
  t.not(await runnerOf(line), runner, 'another instance took it over')

  const replayed = await line.pool.query<{ transaction_id: string; count: number }>(
    `select m.transaction_id, count(*)::int as count from message_events e join messages m using (message_id)
     where e.type = 'replayed' and e.request_key = $1 group by 1`,
    [`replay-job:${id}`],
  )
  t.strictSame(new Set(replayed.rows.map((row) => row.transaction_id)), frozen)
  t.ok(
    replayed.rows.every((row) => row.count === 1),
    'each once',
  )
  const effects = new Map<string, number>()
  for (const { key, effect } of (await line.ledger()).slice(before))
    if (effect) effects.set(key ?? '', (effects.get(key ?? '') ?? 0) + 1)
  t.ok(
    [...frozen].every((each) => effects.get(idempotencyKey(each)) === 1),
    'each has one effect',
  )
  t.equal(effects.size, 800)
  await line.isClean(t)
})

t.test(
  'a job stops by itself when the processor fails again, says why, and is resumed by hand',
  async (t) => {
    const line = await setUpLine(t, ['--status', '400'])
    const settings = { ...line.settings, MAX_CONCURRENT: '100', HOLD_AFTER: '0', BRAKE_AFTER: '0' }
    const services = await Promise.all([startReadyService(t, settings), startReadyService(t, settings)])
    await line.produce(200)
    t.match(await line.settled(200), { dead_letter: 200 })
    const working = await replaceMock(t, line.mock, ['--success', '1'])
    const { id } = await plan(services[0])
    await start(services[0], id, 'perSecond: 50, stopWhen: { failedShare: 0.5, after: 20 }')
    await until('40 % to be replayed', async () => Number((await jobOf(services[1], id)).replayed) >= 80)
    await line.pool.query(`select from pause_destination('default', 'alice', 'the processor is replaced')`)
    await until('the job to wait', async () => (await jobOf(services[1], id)).state === 'WAITING')
    t.equal(await readMetric(services[0], 'tqp_replay_jobs{state="waiting"}'), 1)
    const failing = await replaceMock(t, working, ['--status', '400'])
    await line.pool.query(`select from resume_destination('default', 'alice', 'it is replaced')`)
    await until('the job to stop', async () => (await jobOf(services[1], id)).state === 'STOPPED')
    const stopped = await jobOf(services[1], id)
    t.match(
      stopped.stoppedBecause,
      /^\d+ of the last 20 that ended failed again, and the job stops at 50\.0 %$/,
    )
    t.ok(Number(stopped.failedAgain) <= 30, `stopped after ${stopped.failedAgain} failures`)
    t.ok(Number(stopped.left) > 0)
    await replaceMock(t, failing, ['--success', '1'])
    await ask(
      services[1],
      `mutation ($id: ID!) { resumeReplay(job: $id, reason: "it is back") { __typename } }`,
      { id },
    )
    await until('the job to be done', async () => (await jobOf(services[0], id)).state === 'DONE')
    t.match(await jobOf(services[0], id), { left: '0', skipped: '0', replayed: '200' })
    // Those that failed again by a refusal are dead letters again.
    const counts = await line.settled(200)
    t.equal(counts.success + counts.dead_letter, 200)
    await line.isClean(t)
  },
)
