import type { Pool } from 'pg'
import t from 'tap'
import type { MessageFilter } from '../../../src/log/read/messages/filter.ts'
import { listJobEvents, readJob, type ReplayJob } from '../../../src/log/read/read-jobs.ts'
import { countReplayable, readPlan } from '../../../src/log/read/read-plan.ts'
import { advanceDestination } from '../../../src/log/write/advance-destination.ts'
import { abandon, findExpired } from '../../../src/log/write/abandon.ts'
import { decideMessage } from '../../../src/log/write/decide-message.ts'
import { forgetPlans } from '../../../src/log/write/forget-plans.ts'
import { recordInquiry } from '../../../src/log/write/inquiry.ts'
import { pauseDestination } from '../../../src/log/write/steer-destination.ts'
import { planReplay, type PlanAnswer } from '../../../src/log/write/plan-replay.ts'
import { registerInstance } from '../../../src/log/write/register-instance.ts'
import { replay } from '../../../src/log/write/replay.ts'
import {
  startReplay,
  startResolution,
  steerJob,
  type StartRequest,
} from '../../../src/log/write/steer-job.ts'
import { stepJob, type JobStep } from '../../../src/log/write/step-job.ts'
import { database } from '../../support/database.ts'
import {
  accepted,
  deadLetter,
  lookOnce,
  noGrace,
  record,
  refused,
  rejectedRecord,
  retryAtOnce,
  settle,
  settlement,
  store,
  unavailable,
  unknown,
} from '../support.ts'

const letterOutcomes = { refused, unavailable, unknown }

/** Dead letters of these ids, each with its outcome. */
async function storeLetters(
  pool: Pool,
  ids: readonly string[],
  outcome: keyof typeof letterOutcomes = 'unavailable',
): Promise<void> {
  const records = ids.map((id, at) => record(at, id))
  const { claims } = await store(pool, records, { room: ids.length })
  await settle(
    pool,
    'instance-1/fresh',
    claims.map(({ messageId }) => settlement(messageId, 1, letterOutcomes[outcome], deadLetter)),
  )
}

/** With leases of 60 s. An attempt must end within the window, so one that is shorter is always over. */
async function register(pool: Pool, instance: string, keyWindowMs: number): Promise<void> {
  await registerInstance(pool, {
    instance,
    release: 'test',
    freshMax: 10,
    retryMax: 10,
    leaseMs: 60_000,
    timeoutMs: 1_000,
    retry: { retriesMax: 5, baseDelayMs: 1_000, maxDelayMs: 1_000 },
    keyWindowMs,
  })
}

const windowOver = 59_000

function idsOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}-${at}`)
}

async function plan(pool: Pool, filter: MessageFilter = {}): Promise<PlanAnswer> {
  const client = await pool.connect()
  try {
    return await planReplay(client, {
      filter,
      given: filter,
      actor: 'alice',
      reason: 'the processor is back',
    })
  } finally {
    client.release()
  }
}

async function planned(pool: Pool, filter: MessageFilter = {}): Promise<string> {
  const answer = await plan(pool, filter)
  if (answer.kind !== 'planned') throw new Error(`no plan: ${answer.kind}`)
  return answer.id
}

async function start(pool: Pool, id: string, changes: Partial<StartRequest> = {}) {
  return startReplay(pool, {
    plan: id,
    actor: 'bob',
    reason: null,
    perSecond: null,
    rampFrom: null,
    stopWhen: null,
    confirmNotCarriedOut: false,
    requestKey: null,
    ...changes,
  })
}

async function step(
  pool: Pool,
  job: string,
  changes: { actor?: string; room?: number } = {},
): Promise<JobStep> {
  return stepJob(pool, job, { actor: 'instance-1/jobs', room: 100, leaseMs: 60_000, ...changes })
}

async function jobOf(pool: Pool, id: string): Promise<ReplayJob> {
  const job = await readJob(pool, id)
  if (job === null) throw new Error(`no job ${id}`)
  return job
}

/** Ends the attempts that are due, all the same. */
async function attemptAll(pool: Pool, outcome: 'accepted' | 'refused', room = 100): Promise<number> {
  const { claims } = await lookOnce(pool, 'fresh', { room })
  await settle(
    pool,
    'instance-1/fresh',
    claims.map(({ messageId, attempt }) =>
      settlement(
        messageId,
        attempt,
        outcome === 'accepted' ? accepted : refused,
        outcome === 'accepted' ? undefined : deadLetter,
      ),
    ),
  )
  return claims.length
}

t.test('a plan freezes the open dead letters of a filter, and counts them by what matters', async (t) => {
  const { pool } = await database(t)
  t.strictSame(await plan(pool), { kind: 'nothing' })
  await storeLetters(pool, idsOf('down', 3))
  await storeLetters(pool, idsOf('wrong', 2), 'refused')
  await storeLetters(pool, idsOf('lost', 1), 'unknown')
  await store(pool, [rejectedRecord(0, 'not json')])
  await storeLetters(pool, ['settled'])
  const resolve = { kind: 'resolve', as: 'ignored', evidence: null } as const
  await decideMessage(pool, { transactionId: 'settled', decision: resolve, actor: 'alice', reason: 'paid' })
  await store(pool, [record(0, 'alive')])

  const found = await readPlan(pool, await planned(pool))
  if (found === null) throw new Error('no plan')
  t.match(found, { actor: 'alice', reason: 'the processor is back', count: '7', outcomeUnknown: '1' })
  t.equal(countReplayable(found), 6n)
  t.strictSame(found.notReplayable, [{ key: 'rejected_record', count: '1' }])
  t.strictSame(found.byCause, [
    { key: 'retries_exhausted', count: '3' },
    { key: 'refused', count: '2' },
    { key: 'outcome_unknown', count: '1' },
    { key: 'rejected_record', count: '1' },
  ])
  t.strictSame(
    found.byPattern.map(({ pattern, count }) => [pattern, count]),
    [
      ['HTTP 503', '3'],
      ['HTTP 400', '2'],
      ['The value is not JSON.', '1'],
      ['timeout, sent, no answer', '1'],
    ],
  )
  const refusedOnly = await readPlan(pool, await planned(pool, { deadLetterCauses: ['refused'] }))
  t.match(refusedOnly, { count: '2', outcomeUnknown: '0', notReplayable: [] })
})

t.test(
  'payments in doubt whose key may be forgotten are counted apart, and replayed only if it is confirmed',
  async (t) => {
    const { pool } = await database(t)
    await register(pool, 'instance-1', windowOver)
    await storeLetters(pool, ['refused'], 'refused')
    await storeLetters(pool, ['lost-1', 'lost-2'], 'unknown')
    const first = await planned(pool)
    t.match(await readPlan(pool, first), { count: '3', outcomeUnknown: '2', pastKeyWindow: '2' })
    t.equal(await start(pool, first), 'started')
    t.match(await step(pool, first), { worked: 1, passed: 2 })
    t.match(await jobOf(pool, first), { replayed: '1', skipped: [{ key: 'key_window_passed', count: '2' }] })

    const second = await planned(pool)
    t.match(await readPlan(pool, second), { count: '2', pastKeyWindow: '2' })
    t.equal(await start(pool, second, { confirmNotCarriedOut: true, requestKey: 'one' }), 'started')
    t.equal(
      await start(pool, second, { requestKey: 'one' }),
      'key_reused',
      'not confirmed is another request',
    )
    t.match(await step(pool, second), { worked: 2, passed: 0 })
    const { rows } = await pool.query(
      `select confirmed_not_carried_out as confirmed from message_events where type = 'replayed' order by message_id`,
    )
    t.strictSame(rows, [{ confirmed: null }, { confirmed: true }, { confirmed: true }])
  },
)

t.test('a confirmation is of what the plan counted as past the window, and of nothing else', async (t) => {
  const { pool } = await database(t)
  await register(pool, 'instance-1', 86_400_000)
  await pool.query(
    `insert into instances (instance, started_at, release, fresh_max, retry_max, lease_ms, timeout_ms, retries_max, base_delay_ms,
       max_delay_ms, key_window_ms)
     select 'instance-0', started_at - interval '2 days', release, fresh_max, retry_max, lease_ms, timeout_ms, retries_max,
       base_delay_ms, max_delay_ms, $1 from instances`,
    [windowOver],
  )
  await storeLetters(pool, ['lost'], 'unknown')
  const confirmed = { confirmNotCarriedOut: true } as const

  const early = await planned(pool)
  t.match(await readPlan(pool, early), { outcomeUnknown: '1', pastKeyWindow: '0' })
  await register(pool, 'instance-2', windowOver)
  t.equal(await start(pool, early, confirmed), 'started')
  t.match(await step(pool, early), { worked: 0, passed: 1 }, 'its window has passed since')
  t.match(await jobOf(pool, early), { replayed: '0', skipped: [{ key: 'key_window_passed', count: '1' }] })

  const other = await planned(pool)
  t.match(await readPlan(pool, other), { pastKeyWindow: '1' })
  await store(pool, [record(9, 'lost')])
  t.equal(await start(pool, other, confirmed), 'started')
  t.match(await step(pool, other), { worked: 0, passed: 1 }, 'it has another version since')

  const old = await planned(pool)
  await pool.query('alter table replay_plans disable trigger keep_planned')
  await pool.query(`update replay_plans set planned_at = planned_at - interval '1 day' where plan = $1`, [
    old,
  ])
  await pool.query('alter table replay_plans enable always trigger keep_planned')
  t.equal(await start(pool, old, confirmed), 'started')
  t.match(await step(pool, old), { worked: 0, passed: 1 }, 'it was younger when it was planned')

  const last = await planned(pool)
  t.equal(await start(pool, last, confirmed), 'started')
  t.match(await step(pool, last), { worked: 1, passed: 0 })
})

t.test(
  'a plan of more than one piece is replayed whole, each message once, and nothing that came later',
  async (t) => {
    const { pool } = await database(t)
    await storeLetters(pool, idsOf('many', 2_300))
    const id = await planned(pool)
    await storeLetters(pool, idsOf('later', 10))
    t.equal(await start(pool, id), 'started')
    for (let steps = 0; (await step(pool, id, { room: 100_000 })).state !== 'done'; steps++) {
      await attemptAll(pool, 'accepted')
      if (steps > 200) throw new Error('the job does not end')
    }
    t.match(await jobOf(pool, id), {
      state: 'done',
      planned: '2300',
      replayed: '2300',
      succeeded: '2300',
      skipped: [],
    })
    const { rows } = await pool.query(
      `select count(*)::int as events, count(distinct message_id)::int as messages, min(actor) as actor, min(reason) as reason
     from message_events where type = 'replayed' and request_key = $1`,
      [`replay-job:${id}`],
    )
    t.strictSame(rows, [{ events: 2_300, messages: 2_300, actor: 'bob', reason: 'the processor is back' }])
    const left = await pool.query(`select from messages where status = 'dead_letter'`)
    t.equal(left.rowCount, 10)
    const events = await listJobEvents(pool, id, null, 10)
    t.match(events, [
      { version: 1, type: 'started', actor: 'bob' },
      { version: 2, type: 'done', actor: 'instance-1/jobs' },
    ])
  },
)

t.test('no more messages of a job are open than a tenth of the room, and at least one', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('room', 20))
  const id = await planned(pool)
  await start(pool, id)
  t.match(await step(pool, id, { room: 50 }), { worked: 5, state: 'running' })
  t.match(await step(pool, id, { room: 50 }), { worked: 0, state: 'running' })
  t.equal(await attemptAll(pool, 'accepted'), 5)
  t.match(await step(pool, id, { room: 5 }), { worked: 1 })
  t.match(await jobOf(pool, id), { replayed: '6', succeeded: '5' })
})

t.test('a payment in doubt that waits for its next inquiry takes none of the room', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('lost', 8), 'unknown')
  const id = await planned(pool)
  await start(pool, id)
  t.match(await step(pool, id, { room: 50 }), { worked: 5 })
  const { inquiries } = await lookOnce(pool, 'fresh', { inquires: true })
  t.equal(inquiries.length, 5)
  t.match(await step(pool, id, { room: 50 }), { worked: 0, dueInMs: 50 }, 'the processor is being asked')
  const answer = { answer: 'not_found', statusCode: 404, reason: 'HTTP 404', durationMs: 3 } as const
  for (const each of inquiries)
    await recordInquiry(pool, 'instance-1/fresh', each, {
      ...answer,
      verdict: 'none',
      gapMs: 60_000,
      delayMs: 60_000,
    })
  t.match(await step(pool, id, { room: 50 }), { worked: 3 })
  for (const each of (await lookOnce(pool, 'fresh', { inquires: true })).inquiries)
    await recordInquiry(pool, 'instance-1/fresh', each, {
      ...answer,
      verdict: 'none',
      gapMs: 60_000,
      delayMs: 60_000,
    })
  t.match(await step(pool, id, { room: 50 }), { state: 'running', worked: 0, dueInMs: 1_000 })
})

t.test('all jobs have one tenth of the room together', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('first', 10))
  const first = await planned(pool)
  await storeLetters(pool, idsOf('second', 10), 'refused')
  const second = await planned(pool, { deadLetterCauses: ['refused'] })
  await start(pool, first)
  await start(pool, second)
  t.match(await step(pool, first, { room: 50 }), { worked: 5 })
  t.match(await step(pool, second, { room: 50 }), { worked: 0, dueInMs: 1_000 })
  await attemptAll(pool, 'accepted')
  t.match(await step(pool, second, { room: 50 }), { worked: 5 })
})

t.test('an attempt that was not sent, because it waited in its lane, is not counted', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('unsent', 2))
  const id = await planned(pool)
  await start(pool, id, { stopWhen: { failedShare: 0.5, after: 2 } })
  t.match(await step(pool, id), { worked: 2 })
  const { claims } = await lookOnce(pool, 'fresh')
  const unsent = { kind: 'not_sent', reason: 'the destination is held' } as const
  await settle(
    pool,
    'instance-1/fresh',
    claims.map(({ messageId, attempt }) => ({ ...settlement(messageId, attempt, unsent), durationMs: null })),
  )
  t.match(await step(pool, id), { state: 'running' })
  t.match(await jobOf(pool, id), { succeeded: '0', failedAgain: '0' })
  const again = await lookOnce(pool, 'retry')
  await settle(
    pool,
    'instance-1/retry',
    again.claims.map(({ messageId, attempt }) => settlement(messageId, attempt, accepted)),
  )
  t.match(await step(pool, id), { state: 'done' })
  t.match(await jobOf(pool, id), { succeeded: '2', failedAgain: '0' })
})

t.test('while the destination is held and nothing is due, one message of the job is the probe', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('probe', 3))
  const { claims } = await store(pool, [record(0, 'live')], { room: 1 })
  await settle(pool, 'instance-1/fresh', [
    settlement(claims[0]!.messageId, 1, unavailable, { then: 'retry', delayMs: 0 }),
  ])
  const policy = { holdAfter: 1, brakeAfter: 0, probeEveryMs: 0 }
  const advance = () => advanceDestination(pool, 'default', 'instance-1/guard', policy, 0)
  t.equal((await advance()).state, 'held')
  const id = await planned(pool)
  await start(pool, id)
  t.match(await step(pool, id), { state: 'waiting', worked: 0 }, 'the live payment is due')

  const probe = async (lane: 'fresh' | 'retry') => {
    await pool.query(`update destinations set next_probe_at = clock_timestamp() - interval '1 second'`)
    const look = await lookOnce(pool, lane)
    t.equal(look.claims.length, 1)
    t.match(await step(pool, id), { state: 'waiting', worked: 0 }, 'a probe is open')
    const { messageId, attempt } = look.claims[0]!
    await settle(pool, `instance-1/${lane}`, [settlement(messageId, attempt, accepted)])
  }
  await probe('retry')
  for (let probes = 0; probes < 2; probes++) {
    await pool.query(`update destinations set next_probe_at = clock_timestamp() + interval '1 minute'`)
    t.match(await step(pool, id), { state: 'waiting', worked: 0 }, 'no probe may start yet')
    await pool.query(`update destinations set next_probe_at = clock_timestamp() - interval '1 second'`)
    t.match(await step(pool, id), { state: 'waiting', worked: 1, reason: 'destination default is held' })
    t.match(await step(pool, id), { state: 'waiting', worked: 0 }, 'it is due')
    await probe('fresh')
  }
  t.equal((await advance()).state, 'ramping')
  t.match(await jobOf(pool, id), { replayed: '2', waitsFor: 'destination default is held' })
})

t.test('what changed since it was planned is skipped by the name of the reason', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, ['by hand', 'again', 'settled', 'expunged', 'plain'])
  await store(pool, [rejectedRecord(0, 'not json')])
  const id = await planned(pool)
  const by = { actor: 'alice', reason: 'by hand', requestKey: null }
  await replay(pool, { transactionId: 'by hand', ...by })
  await replay(pool, { transactionId: 'again', ...by })
  await attemptAll(pool, 'refused')
  const resolve = { kind: 'resolve', as: 'carried_out', evidence: null } as const
  await decideMessage(pool, { transactionId: 'settled', decision: resolve, actor: 'alice', reason: 'paid' })
  await pool.query(`select from expunge(array['expunged'], 'alice', 'asked for by law')`)
  await start(pool, id)
  t.match(await step(pool, id), { worked: 1, passed: 4 })
  await attemptAll(pool, 'accepted')
  t.match(await step(pool, id), { state: 'done' })
  const job = await jobOf(pool, id)
  t.match(job, { planned: '6', replayed: '1', succeeded: '1' })
  t.strictSame(job.skipped, [
    { key: 'replayed', count: '2' },
    { key: 'expunged', count: '1' },
    { key: 'rejected_record', count: '1' },
    { key: 'resolved', count: '1' },
  ])
})

t.test('a replay leaves out what was cancelled, unless the filter names that cause', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, ['down'])
  await store(pool, [record(0, 'cancelled')])
  const by = { actor: 'alice', reason: 'the customer withdrew it' }
  const cancel = { kind: 'cancel' } as const
  t.match(await decideMessage(pool, { transactionId: 'cancelled', decision: cancel, ...by }), {
    kind: 'decided',
  })

  const all = await planned(pool)
  const found = await readPlan(pool, all)
  t.match(found, { count: '2', notReplayable: [{ key: 'cancelled', count: '1' }] })
  t.equal(countReplayable(found!), 1n)
  await start(pool, all)
  t.match(await step(pool, all), { worked: 1, passed: 0 })
  t.match(await jobOf(pool, all), { skipped: [{ key: 'cancelled', count: '1' }] })
  await attemptAll(pool, 'refused')

  const named = await planned(pool, { deadLetterCauses: ['cancelled'] })
  t.match(await readPlan(pool, named), { count: '1', notReplayable: [] })
  await start(pool, named)
  t.match(await step(pool, named), { worked: 1 })
  await attemptAll(pool, 'accepted')

  await store(pool, [record(0, 'withdrawn')])
  await decideMessage(pool, { transactionId: 'withdrawn', decision: cancel, ...by })
  const rest = await planned(pool)
  await startResolution(pool, { plan: rest, actor: 'bob', as: 'ignored', reason: 'closed' })
  for (let steps = 0; (await step(pool, rest)).state !== 'done'; steps++)
    if (steps > 20) throw new Error('the job does not end')
  t.match(await jobOf(pool, rest), { planned: '2', replayed: '2' }, 'a resolution covers it')
})

t.test('a job keeps its pace, which may rise, and makes up for a short stall only', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('pace', 300))
  const id = await planned(pool)
  await start(pool, id, { perSecond: 200, rampFrom: 50 })
  const back = (seconds: number) =>
    pool.query(
      `update replay_job_states set next_at = next_at - $2 * interval '1 second', running_since = running_since - $2 * interval '1 second'
       where job = $1`,
      [id, seconds],
    )
  await back(5)
  const slow = await step(pool, id, { room: 100_000 })
  t.ok(slow.worked >= 13 && slow.worked <= 14, `${slow.worked} in a quarter of a second at 50 a second`)
  await back(30)
  const fast = await step(pool, id, { room: 100_000 })
  t.ok(fast.worked >= 50 && fast.worked <= 52, `${fast.worked} in a quarter of a second at 200 a second`)
  t.match(await steerJob(pool, id, { kind: 'pace', perSecond: 1 }, { actor: 'alice', reason: 'too much' }), {
    kind: 'steered',
  })
  t.match(await step(pool, id, { room: 100_000 }), { worked: 1 })
  const next = await step(pool, id, { room: 100_000 })
  t.equal(next.worked, 0)
  t.ok(next.dueInMs! > 50 && next.dueInMs! <= 1_000, `due in ${next.dueInMs} ms`)
})

t.test('a clock that was set back holds up no job', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('clock', 100))
  const id = await planned(pool)
  await start(pool, id, { perSecond: 200, rampFrom: 50 })
  t.match(await step(pool, id, { room: 100_000 }), { worked: 1 })
  await pool.query(
    `update replay_job_states set running_since = running_since + interval '1 hour', next_at = next_at + interval '1 hour',
       rate_since = rate_since + interval '1 hour', told_at = told_at + interval '1 hour', runner_until = runner_until + interval '1 hour'
     where job = $1`,
    [id],
  )
  const other = { actor: 'instance-2/jobs', room: 100_000 }
  const next = await step(pool, id, other)
  t.equal(next.state, 'running', 'the runner has died meanwhile, and another one goes on')
  t.ok(next.dueInMs! <= 50, `due in ${next.dueInMs} ms`)
  await pool.query(`update replay_job_states set next_at = next_at - interval '1 second' where job = $1`, [
    id,
  ])
  const { worked } = await step(pool, id, other)
  t.ok(
    worked >= 13 && worked <= 14,
    `${worked} in a quarter of a second: the pace rises from 50 a second again`,
  )
  const { rows } = await pool.query(
    `select greatest(running_since, rate_since, told_at) <= clock_timestamp() as is_past,
       next_at < clock_timestamp() + interval '1 second' as is_near
     from replay_job_states where job = $1`,
    [id],
  )
  t.strictSame(rows, [{ is_past: true, is_near: true }])
})

t.test('a job stops when too many fail again, says why, and goes on when it is resumed', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('stop', 60))
  const id = await planned(pool)
  await start(pool, id, { stopWhen: { failedShare: 0.5, after: 20 } })
  await step(pool, id)
  t.equal(await attemptAll(pool, 'accepted'), 10)
  await step(pool, id)
  await attemptAll(pool, 'accepted')
  t.match(await step(pool, id), { state: 'running', worked: 10 })
  await attemptAll(pool, 'refused')
  t.match(await step(pool, id), { state: 'stopped', worked: 0 })
  t.match(await jobOf(pool, id), {
    state: 'stopped',
    succeeded: '20',
    failedAgain: '10',
    stoppedBecause: '10 of the last 20 that ended failed again, and the job stops at 50.0 %',
  })
  t.match(await step(pool, id), { state: 'stopped', dueInMs: null })
  const by = { actor: 'alice', reason: 'the processor is back again' }
  t.strictSame(await steerJob(pool, id, { kind: 'pause' }, by), { kind: 'wrong_state', state: 'stopped' })
  t.strictSame(await steerJob(pool, id, { kind: 'resume' }, by), { kind: 'steered' })
  t.match(await step(pool, id), { state: 'running', worked: 10 })
  t.match(await jobOf(pool, id), { stoppedBecause: null })
})

t.test('where all begin to fail, a job has stopped after so many attempts as it says', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('at once', 100))
  const id = await planned(pool)
  await start(pool, id, { stopWhen: { failedShare: 0.5, after: 20 } })
  t.match(await step(pool, id, { room: 1_000 }), { worked: 20, state: 'running' })
  await attemptAll(pool, 'accepted')
  t.match(await step(pool, id, { room: 1_000 }), { worked: 20, state: 'running' })
  await attemptAll(pool, 'refused', 5)
  t.match(await step(pool, id, { room: 1_000 }), { worked: 0, state: 'running' }, '15 may still fail')
  await attemptAll(pool, 'refused')
  t.match(await step(pool, id, { room: 1_000 }), { worked: 0, state: 'stopped' })
  t.match(await jobOf(pool, id), { succeeded: '20', failedAgain: '20' })
})

t.test('attempts whose instance died stop no job, because they say nothing of the processor', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('died', 6))
  const id = await planned(pool)
  await start(pool, id, { stopWhen: { failedShare: 0.5, after: 3 } })
  t.match(await step(pool, id), { worked: 3 })
  await lookOnce(pool, 'fresh', { lease: { ...noGrace, leaseMs: 0 } })
  const expired = await findExpired(pool, noGrace, '-infinity', 100)
  t.equal(expired.length, 3)
  await abandon(
    pool,
    'instance-2/retry',
    expired.map((each) => ({ expired: each, decision: retryAtOnce })),
    noGrace,
  )
  t.match(await step(pool, id), { worked: 3, state: 'running' })
  t.match(await jobOf(pool, id), { failedAgain: '3', stoppedBecause: null })
})

t.test(
  'what ends without an attempt stops no job either, and what is cancelled is counted as neither',
  async (t) => {
    const { pool } = await database(t)
    await storeLetters(pool, idsOf('cancelled', 3))
    await storeLetters(pool, idsOf('forgotten', 6), 'unknown')
    const id = await planned(pool)
    await start(pool, id, { stopWhen: { failedShare: 0.5, after: 3 } })
    t.match(await step(pool, id), { worked: 3 })
    const decision = { decision: { kind: 'cancel' }, actor: 'carol', reason: 'paid by hand' } as const
    for (const transactionId of idsOf('cancelled', 3))
      await decideMessage(pool, { transactionId, ...decision })
    t.match(await step(pool, id), { worked: 3, state: 'running' })
    t.match(await jobOf(pool, id), { succeeded: '0', failedAgain: '0' })
    t.equal((await lookOnce(pool, 'fresh', { keyWindowMs: windowOver })).forgotten.length, 3)
    t.match(await step(pool, id), { worked: 3, state: 'running' })
    t.match(await jobOf(pool, id), { failedAgain: '3', stoppedBecause: null })
    await attemptAll(pool, 'refused')
    t.match(await step(pool, id), { state: 'stopped' })
  },
)

t.test('a paused or aborted job replays nothing, and still counts what ends', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('pause', 30))
  const id = await planned(pool)
  await start(pool, id)
  await step(pool, id)
  const by = { actor: 'alice', reason: 'wait for the bank' }
  t.strictSame(await steerJob(pool, id, { kind: 'pause' }, by), { kind: 'steered' })
  t.match(await step(pool, id), { state: 'paused', worked: 0, dueInMs: Number })
  await attemptAll(pool, 'accepted')
  t.match(await step(pool, id), { state: 'paused', worked: 0, dueInMs: null })
  t.match(await jobOf(pool, id), { replayed: '10', succeeded: '10', endedAt: null })
  await steerJob(pool, id, { kind: 'resume' }, by)
  await step(pool, id)
  t.strictSame(await steerJob(pool, id, { kind: 'abort' }, by), { kind: 'steered' })
  await attemptAll(pool, 'refused')
  t.match(await step(pool, id), { state: 'aborted', worked: 0, dueInMs: null })
  t.match(await jobOf(pool, id), { replayed: '20', failedAgain: '10', endedAt: String })
  t.strictSame(await steerJob(pool, id, { kind: 'resume' }, by), { kind: 'wrong_state', state: 'aborted' })
  t.strictSame(await steerJob(pool, '999', { kind: 'resume' }, by), { kind: 'unknown' })
})

t.test('a job waits while its destination is paused', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('wait', 3))
  const id = await planned(pool)
  await start(pool, id)
  await pauseDestination(pool, 'default', { actor: 'alice', reason: 'maintenance' }, null)
  t.match(await step(pool, id), { state: 'waiting', worked: 0, reason: 'destination default is paused' })
  t.match(await jobOf(pool, id), { state: 'waiting', waitsFor: 'destination default is paused' })
})

t.test('one instance at a time runs a job, and another takes it over when its lease has ended', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('runner', 30))
  const id = await planned(pool)
  await start(pool, id)
  t.match(await step(pool, id), { worked: 10 })
  t.match(await step(pool, id, { actor: 'instance-2/jobs' }), { state: 'elsewhere', worked: 0 })
  await pool.query(`update replay_job_states set runner_until = clock_timestamp()`)
  await attemptAll(pool, 'accepted')
  t.match(await step(pool, id, { actor: 'instance-2/jobs' }), { state: 'running', worked: 10 })
  t.match(await step(pool, id), { state: 'elsewhere' })
})

t.test('an instance that waits for its turn keeps no runner from its pace', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('pace', 30))
  const id = await planned(pool)
  await start(pool, id)
  t.match(await step(pool, id), { worked: 10 })
  const other = await pool.connect()
  await other.query('begin')
  t.match(await stepJob(other, id, { actor: 'instance-2/jobs', room: 100, leaseMs: 60_000 }), {
    state: 'elsewhere',
  })
  await attemptAll(pool, 'accepted')
  t.match(await step(pool, id), { worked: 10 }, 'the other one has locked nothing')
  await other.query('select from replay_job_states for no key update')
  const locked = await step(pool, id)
  t.ok(locked.dueInMs !== null && locked.dueInMs <= 100, 'the runner comes again soon')
  await other.query('rollback')
  other.release()
})

t.test('a job that another session holds is left to it', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('held', 3))
  const id = await planned(pool)
  await start(pool, id)
  const other = await pool.connect()
  await other.query('begin')
  await other.query('select from replay_job_states for no key update')
  t.match(await step(pool, id), { state: 'elsewhere', worked: 0 })
  await other.query('rollback')
  other.release()
  t.match(await step(pool, id), { worked: 3 })
})

t.test('a plan is started once, and its request may be repeated by its key', async (t) => {
  const { pool } = await database(t)
  await storeLetters(pool, idsOf('once', 3))
  const id = await planned(pool)
  t.equal(await start(pool, '999'), 'unknown')
  t.equal(await start(pool, id, { requestKey: 'k', perSecond: 5 }), 'started')
  t.equal(await start(pool, id, { requestKey: 'k', perSecond: 5 }), 'repeated')
  t.equal(await start(pool, id, { requestKey: 'k', perSecond: 6 }), 'key_reused')
  t.equal(await start(pool, id, { requestKey: 'k', perSecond: 5, actor: 'mallory' }), 'already_started')
  t.equal(await start(pool, id), 'already_started')
})

t.test(
  'a plan that nobody starts expires and is removed; one that was started stays as it was',
  async (t) => {
    const { pool } = await database(t)
    await storeLetters(pool, idsOf('old', 3))
    const [kept, expired] = [await planned(pool), await planned(pool)]
    t.equal(await start(pool, kept), 'started')
    t.equal(await forgetPlans(pool), 0)
    await t.rejects(pool.query(`update replay_plans set expires_at = now() where plan = $1`, [expired]), {
      code: '42501',
    })
    await pool.query('alter table replay_plans disable trigger keep_planned')
    await pool.query(`update replay_plans set expires_at = clock_timestamp() - interval '1 second'`)
    await pool.query('alter table replay_plans enable always trigger keep_planned')
    t.equal(await start(pool, expired), 'expired')
    t.equal(await forgetPlans(pool), 1)
    t.equal(await start(pool, expired), 'unknown')
    const { rows } = await pool.query('select plan from replay_plan_ids')
    t.strictSame(rows, [{ plan: kept }])
    for (const statement of [
      'delete from replay_plan_ids',
      'delete from replay_plans',
      'truncate replay_plan_ids',
    ])
      await t.rejects(pool.query(statement), { code: '42501' })
    for (const table of ['replay_jobs', 'replay_job_events'])
      await t.rejects(pool.query(`delete from ${table}`), { code: '42501' })
  },
)

t.test(
  'a resolution closes all that was planned, rejected records too, without a pace or a wait',
  async (t) => {
    const { pool } = await database(t)
    await storeLetters(pool, idsOf('close', 1_200))
    await store(pool, [rejectedRecord(0, 'not json'), rejectedRecord(1, 'nor this')])
    const id = await planned(pool)
    await pauseDestination(pool, 'default', { actor: 'alice', reason: 'maintenance' }, null)
    await replay(pool, { transactionId: 'close-7', actor: 'alice', reason: 'by hand', requestKey: null })
    const request = { plan: id, actor: 'bob', as: 'ignored', reason: 'a test of the bank' } as const
    t.equal(await startResolution(pool, request), 'started')
    for (let steps = 0; (await step(pool, id)).state !== 'done'; steps++)
      if (steps > 20) throw new Error('the job does not end')
    t.match(await jobOf(pool, id), {
      kind: 'resolve',
      resolution: 'ignored',
      reason: 'a test of the bank',
      planned: '1202',
      replayed: '1201',
      succeeded: '0',
      skipped: [{ key: 'replayed', count: '1' }],
    })
    const { rows } = await pool.query(
      `select count(*)::int as events, min(actor) as actor from message_events
     where type = 'resolved' and resolution = 'ignored' and request_key = $1`,
      [`replay-job:${id}`],
    )
    t.strictSame(rows, [{ events: 1_201, actor: 'bob' }])
  },
)
