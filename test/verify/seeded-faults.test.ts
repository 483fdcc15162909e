import type { Pool } from 'pg'
import t from 'tap'
import { readFunctions } from '../../src/runtime/migrate.ts'
import { planReplay } from '../../src/log/write/plan-replay.ts'
import { startReplay } from '../../src/log/write/steer-job.ts'
import { stepJob } from '../../src/log/write/step-job.ts'
import { verify } from '../../src/verify/verify.ts'
import { database } from '../support/database.ts'
import { differing } from './broken.ts'
import { accepted, History, refused, unavailable, unknown, writeHistory } from './history.ts'

type Fault = {
  function: string
  right: string
  wrong: string
  found: Record<string, RegExp>
  /** What else may be told, depending on how long the history took to write. */
  perhaps?: readonly string[]
  /** What shows the fault where the history alone need not. */
  also?: (history: History, pool: Pool) => Promise<void>
  /** In place of the whole history, where that would not come to its end. */
  only?: (history: History, pool: Pool) => Promise<void>
}

/** A plausible mistake in one of the functions that write the log, and what must become of a history written with it. */
const faults: Fault[] = [
  {
    function: 'lock_due',
    right: 's.due_at <= in_at and',
    wrong: '',
    // Others may start early too: that depends on how long the history took to write.
    found: { S9: /^early v4: starts \d+ µs before it is due$/ },
    // An inquiry may come before its gap is over.
    perhaps: ['S28'],
    also: startEarly,
  },
  {
    function: 'abandon_attempts',
    right: 'then 0 else 1 end as retry_count',
    wrong: 'then 0 else 0 end as retry_count',
    found: { S4: /^abandoned v3: retry_count is 0, folding gives 1$/ },
  },
  {
    function: 'ingest',
    right: `where r.result in ('d', 'c')`,
    wrong: `where r.result in ('c')`,
    found: { S12: /^transactions\.incoming:0: offsets \d+ to \d+: says 1 duplicates, but the log has 0$/ },
  },
  {
    function: 'project',
    right: 'greatest(f.prior_attempts, f.attempt)',
    wrong: 'coalesce(f.attempt, f.prior_attempts)',
    found: { S4: /^late from the grave v7: message_states\.attempts is 1, folding gives 2$/ },
  },
  {
    function: 'project',
    right: 'else coalesce(e.reference, s.reference) end as reference',
    wrong: 'else e.reference end as reference',
    found: { S4: /^.+ v\d+: message_states\.reference is null, folding gives (paid|not paid|asked)$/ },
  },
  {
    function: 'count_steps',
    right: `(where s.to_status = 'failed')`,
    wrong: `(where s.to_status in ('failed', 'dead_letter'))`,
    found: { S4: /^count of failed: is \d+, folding gives 0$/ },
  },
  {
    function: 'settle_attempts',
    right: `spares boolean := target.state <> 'flowing'`,
    wrong: 'spares boolean := false',
    found: {
      S4: /^held v3: retry_count is 1, folding gives 0$/,
      S22: /^held v3: attempt_failed uses up a retry while destination default is held \(decision 1\)$/,
    },
    only: failWhileHeld,
  },
  {
    function: 'settle_attempts',
    right: `coalesce(i.delay_ms, i.spared_delay_ms)`,
    wrong: 'i.delay_ms',
    found: { S22: /^last v8: retries exhausted while destination default is paused \(decision 1\)$/ },
    only: failAtLast,
  },
  {
    function: 'abandon_attempts',
    right: `is_spared boolean := target.state <> 'flowing'`,
    wrong: 'is_spared boolean := false',
    found: {
      S4: /^lost v3: retry_count is 1, folding gives 0$/,
      S22: /^lost v3: attempt_abandoned uses up a retry while destination default is held \(decision 1\)$/,
    },
    only: failWhileHeld,
  },
  {
    function: 'has_open_probe',
    right: `m.status = 'processing' and m.attempts = in_place.probe_attempt`,
    wrong: 'false',
    found: {
      S23: /^(trips|held|lost) v\d: 2 attempts that started while destination default is held \(decision 1\) are open at position \d+$/,
    },
    only: probeTwice,
  },
  {
    function: 'look_lane',
    right: `when target.state in ('flowing', 'ramping') then in_room`,
    wrong: `when target.state in ('flowing', 'ramping', 'paused') then in_room`,
    found: { S24: /^waits v2: attempt 1 starts while destination default is paused \(decision 1\)$/ },
    only: claimInAPause,
  },
  {
    function: 'ingest',
    right: `.state = 'flowing'`,
    wrong: `.state <> 'held'`,
    found: { S24: /^waits v2: attempt 1 starts while destination default is paused \(decision 1\)$/ },
    only: claimInAPause,
  },
  {
    function: 'take_slots',
    right: 'in_count / rate',
    wrong: '0 / rate',
    found: {
      S24: /^destination default: 2 attempts start in the second before .+Z, with a limit of 0\.01 and 1 at once$/,
    },
    only: claimAboveALimit,
  },
  {
    function: 'ingest',
    right: 'target.rate_limit is null',
    wrong: 'true',
    found: {
      S24: /^destination default: 2 attempts start in the second before .+Z, with a limit of 0\.01 and 1 at once$/,
    },
    only: claimAboveALimit,
  },
  {
    function: 'claim',
    right: 'select case when d.outcome_unknown',
    wrong: 'select case when false',
    found: {
      S27: /^doubtful v4: attempt 2 starts, but it is in doubt since version 3, and its key may be forgotten from .+Z$/,
    },
    only: claimForgotten,
  },
  {
    function: 'doubt_of',
    right: `coalesce(max(e.version) filter (where e.outcome = 'unknown'`,
    wrong: `coalesce(max(e.version) filter (where e.outcome <> 'accepted'`,
    found: { S27: /^sure v10: is given up as unknown, but it is not in doubt$/ },
    only: forgetRefused,
  },
  {
    function: 'next_step',
    right: 'doubt.not_founds < 2',
    wrong: 'doubt.not_founds < 1',
    found: {
      S28: /^doubtful v6: attempt 2 starts, but it is in doubt since version 3, and was not found 1 times$/,
    },
    only: sendAfterOneAnswer,
  },
  {
    function: 'take_ids',
    right: 'p.plan = state.job and',
    wrong: '',
    found: { S25: /^replay job \d+: came to message \d+, which is not in its frozen set$/ },
    only: runTheSecondJob,
  },
]

for (const fault of faults) {
  t.test(
    `${fault.function}.sql with ${fault.wrong || 'nothing'} for ${fault.right} is found out`,
    async (t) => {
      const { url, pool } = await database(t)
      const sources = await readFunctions()
      const sql = sources.find(({ name }) => name === `${fault.function}.sql`)?.sql ?? ''
      if (!sql.includes(fault.right)) throw new Error(`${fault.function}.sql no longer says ${fault.right}`)
      await pool.query(sql.replaceAll(fault.right, fault.wrong))
      await write(pool, fault)
      const lines = differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null }))
      const told = Object.keys(lines).filter((id) => !fault.perhaps?.includes(id))
      t.same(told, Object.keys(fault.found), JSON.stringify(lines))
      for (const [id, line] of Object.entries(fault.found))
        t.ok(
          lines[id]?.some((each) => line.test(each)),
          `${id}: ${lines[id]?.join('; ')}`,
        )
    },
  )
}

async function write(pool: Pool, { only, also }: Fault): Promise<void> {
  const history = only === undefined ? await writeHistory(pool) : await History.begin(pool)
  await (only ?? also)?.(history, pool)
}

async function failWhileHeld(history: History): Promise<void> {
  const [trips, held, accepts] = await history.receive(['trips', 'held', 'accepts'], { room: 3 })
  const [lost] = await history.receive(['lost'], { instance: 'hasty', room: 1 })
  await history.deliver(trips!, unavailable)
  await history.guard('held')
  await history.deliver(held!, unavailable)
  await history.deliver(accepts!, accepted)
  await history.abandon(lost!)
}

async function failAtLast(history: History): Promise<void> {
  const [first] = await history.receive(['last'], { room: 1 })
  await history.deliver(first!, unavailable)
  await history.deliver(await history.claim('retry'), unavailable, 'retry')
  const last = await history.claim('retry')
  await history.pause()
  await history.deliver(last, unavailable, 'retry')
}

async function probeTwice(history: History): Promise<void> {
  await failWhileHeld(history)
  for (let probes = 0; probes < 2; probes++) await history.claim('retry')
}

async function claimInAPause(history: History): Promise<void> {
  await history.pause()
  await history.receive(['waits'], { room: 1 })
  await history.tryClaim('fresh')
}

async function claimAboveALimit(history: History): Promise<void> {
  await history.limit(0.01, 1)
  await history.receive(['first', 'second'], { room: 2 })
  for (let looks = 0; looks < 2; looks++) await history.tryClaim('fresh')
}

/** Two plans, of different dead letters, and the job of the second one. */
async function runTheSecondJob(history: History, pool: Pool): Promise<void> {
  for (const claim of await history.receive(['first', 'second'], { room: 2 }))
    await history.deliver(claim, refused)
  await planOne(pool, 'first')
  const plan = await planOne(pool, 'second')
  const how = {
    perSecond: null,
    rampFrom: null,
    stopWhen: null,
    confirmNotCarriedOut: false,
    requestKey: null,
  }
  await startReplay(pool, { plan, actor: 'bob', reason: null, ...how })
  await stepJob(pool, plan, { actor: 'instance-1/jobs', room: 100, leaseMs: 60_000 })
}

async function planOne(pool: Pool, id: string): Promise<string> {
  const client = await pool.connect()
  try {
    const answer = await planReplay(client, {
      filter: { transactionIds: [id] },
      given: {},
      actor: 'alice',
      reason: 'it is back',
    })
    if (answer.kind !== 'planned') throw new Error(answer.kind)
    return answer.id
  } finally {
    client.release()
  }
}

/** Claims what is due in an hour, which only a claim that does not look at the time hands out. */
async function startEarly(history: History): Promise<void> {
  const [claim] = await history.receive(['early'], { instance: 'patient', room: 1, partition: 9 })
  await history.settle(claim!, unavailable, 'fresh', 'patient')
  await history.claim('retry', 'patient')
}

async function claimForgotten(history: History): Promise<void> {
  const [claim] = await history.receive(['doubtful'], { room: 1 })
  await history.deliver(claim!, unknown)
  await history.claim('retry', 'forgetful')
}

/** Refused since it was in doubt, and replayed: a failure that says nothing of that leaves no doubt. */
async function forgetRefused(history: History): Promise<void> {
  const [claim] = await history.receive(['sure'], { room: 1 })
  await history.deliver(claim!, unknown)
  await history.deliver(await history.claim('retry'), refused, 'retry')
  await history.replay('sure')
  await history.deliver(await history.claim('fresh'), unavailable)
  await history.forget('retry')
}

async function sendAfterOneAnswer(history: History): Promise<void> {
  const [claim] = await history.receive(['doubtful'], { room: 1 })
  await history.deliver(claim!, unknown)
  await history.ask('retry', 'not_found')
  await history.claim('retry', 'asking')
}
