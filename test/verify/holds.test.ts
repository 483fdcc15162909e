import t from 'tap'
import { verify } from '../../src/verify/verify.ts'
import { append, breakable, differing } from './broken.ts'

const { url, pool, mend } = await breakable(t)

// Above every position of the history.
const end = 9_000_000

/** Appends a decision about the destination, and derives how it stands. */
async function decide(state: string, position: number, changes: Record<string, unknown> = {}): Promise<void> {
  await pool.query(
    `insert into destination_decisions
      select n.* from (select * from destination_decisions order by decision desc limit 1) l
      cross join lateral jsonb_populate_record(null::destination_decisions, to_jsonb(l) || jsonb_build_object('decision', l.decision + 1,
        'position', $2::bigint, 'state', $1::text, 'cause', 'operator', 'actor', 'alice', 'reason', 'why') || $3) n`,
    [state, position, JSON.stringify(changes)],
  )
  await derive()
}

async function hold(position: number): Promise<void> {
  await decide('held', position, { cause: 'failures', failures: 20, actor: 'steady/guard' })
}

async function derive(): Promise<void> {
  await pool.query(`
    update destinations d set decision = l.decision, rate_limit = l.rate_limit, rate_burst = l.rate_burst,
      state_decision = s.decision, state = s.state, cause = s.cause, since = s.recorded_at, until = s.until,
      next_probe_at = now(), probe_delay_ms = 1
    from (select * from destination_decisions order by decision desc limit 1) l,
      (select * from destination_decisions where cause not in ('rate', 'setting', 'throttled', 'unthrottled')
        order by decision desc limit 1) s`)
}

/** Starts an attempt of the message that is pending. */
async function start(position: number, times = {}): Promise<void> {
  const started = { type: 'attempt_started', status: 'processing', actor: 'steady/fresh', position, ...times }
  await append(pool, 'twin', 600_000, { ...started, attempt: 1 })
}

/** The time of an event, and of the end of a lease. */
function now(): { recorded_at: string; due_at: string } {
  return { recorded_at: new Date().toISOString(), due_at: new Date(Date.now() + 600_000).toISOString() }
}

/** Starts another attempt of a message that was refused. */
async function startAgain(position: number, times = {}): Promise<void> {
  const replayed = { type: 'replayed', status: 'pending', actor: 'alice', reason: 'why', position }
  await append(pool, 'refused', 0, replayed)
  const started = { type: 'attempt_started', status: 'processing', actor: 'steady/fresh', position, ...times }
  await append(pool, 'refused', 600_000, { ...started, attempt: 2 })
}

function sql(...statements: string[]): () => Promise<void> {
  return async () => {
    for (const statement of statements) {
      const { rowCount } = await pool.query(statement)
      if (rowCount === 0) throw new Error(`nothing is broken by ${statement}`)
    }
  }
}

/** Changes one decision of the history: the nth for this cause. */
function change(cause: string, what: string, nth = 1): () => Promise<void> {
  return async () => {
    await sql(`update destination_decisions set ${what} where decision = (
      select decision from destination_decisions where cause = '${cause}' order by decision offset ${nth - 1} limit 1)`)()
    await derive()
  }
}

/** Changes the last decision. */
function changeLast(what: string): () => Promise<void> {
  return async () => {
    await sql(`update destination_decisions set ${what}
      where decision = (select max(decision) from destination_decisions)`)()
    await derive()
  }
}

function event(transactionId: string, type: string, nth: number): string {
  return `(message_id, version) = (
    select e.message_id, e.version from message_events e join message_events f on f.message_id = e.message_id and f.version = 1
    where f.transaction_id = '${transactionId}' and e.type = '${type}' order by e.version offset ${nth - 1} limit 1)`
}

type Case = { broken: string; by: () => Promise<void>; found: Record<string, RegExp> }

const cases: Case[] = [
  {
    broken: 'a failure in a pause that uses up a retry',
    by: sql(
      `update message_events e set retry_count = 3 from message_events f
        where f.transaction_id = 'kept' and f.message_id = e.message_id and e.version >= 7`,
      `update message_states set retry_count = 3 where transaction_id = 'kept'`,
    ),
    found: {
      S4: /^kept v7: retry_count is 3, folding gives 2$/,
      S22: /^kept v7: attempt_failed uses up a retry while destination default is paused \(decision \d+\)$/,
    },
  },
  {
    broken: 'retries that are exhausted before the destination flows again',
    // The decision that let it flow again comes as late as the next pause.
    by: change(
      'ramped',
      `position = (select position from destination_decisions where state = 'paused' order by decision offset 1 limit 1)`,
      2,
    ),
    found: {
      S22: /^kept( too)? v10: retries exhausted while destination default is ramping \(decision \d+\)$/,
    },
  },
  {
    broken: 'two probes at the same time',
    by: async () => {
      await hold(end)
      await start(end + 1)
      await startAgain(end + 2)
    },
    found: {
      S23: new RegExp(
        `^refused v6: 2 attempts that started while destination default is held \\(decision \\d+\\) are open at position ${end + 2}$`,
      ),
    },
  },
  {
    broken: 'an attempt that starts in a pause',
    by: async () => {
      await decide('paused', end)
      await start(end + 1)
    },
    found: { S24: /^twin v4: attempt 1 starts while destination default is paused \(decision \d+\)$/ },
  },
  {
    broken: 'more starts in a second than the limit allows',
    by: async () => {
      await decide('flowing', end, { cause: 'rate', rate_limit: 0.5, rate_burst: 1 })
      await start(end + 1, now())
      await startAgain(end + 2, now())
    },
    found: {
      S24: /^destination default: 2 attempts start in the second before .+Z, with a limit of 0.5 and 1 at once$/,
    },
  },
  {
    broken: 'a hold that changes the limit',
    by: change('failures', 'rate_limit = 5, rate_burst = 2'),
    found: { S3: /^destination default: decision 1 changes the limit, but is by failures$/ },
  },
  {
    broken: 'a limit that changes the state',
    by: () => decide('paused', end, { cause: 'rate', rate_limit: 5, rate_burst: 2 }),
    found: { S3: /^destination default: decision \d+ leads from flowing to paused by rate$/ },
  },
  {
    broken: 'a processor that asked for less, as the cause of a limit',
    by: () =>
      decide('flowing', end, { cause: 'throttled', actor: 'steady/guard', rate_limit: 5, rate_burst: 2 }),
    found: { S3: /^destination default: decision \d+ changes the limit, but is by throttled$/ },
  },
  {
    broken: 'a limit of a setting of nobody who is registered',
    by: () => decide('flowing', end, { cause: 'setting', actor: 'alice', rate_limit: 5, rate_burst: 2 }),
    found: { S14: /^destination default: decision \d+: alice is of no registered instance$/ },
  },
  {
    broken: 'a failure in a pause that waits longer than its backoff',
    by: sql(
      `update message_events set due_at = due_at + interval '1 hour' where ${event('kept', 'attempt_failed', 3)}`,
    ),
    found: { S9: /^kept v7: a delay of \d+ ms; policy allows 48 to 60 ms$/ },
  },
  {
    broken: 'a last attempt that is abandoned in a pause and retried at once',
    by: sql(
      `update message_events set due_at = recorded_at where ${event('kept too', 'attempt_abandoned', 1)}`,
    ),
    found: { S9: /^kept too v7: a delay of 0 ms; policy allows 48 to 60 ms$/ },
  },
  {
    broken: 'a failure after the destination flows again that uses up no retry',
    // Payments flow before the one that failed in the ramp fails.
    by: change(
      'ramped',
      `position = (select position from destination_decisions where cause = 'probes' limit 1)`,
    ),
    found: { S4: /^ramped v3: retry_count is 0, folding gives 1$/ },
  },
  {
    broken: 'a gap in the decisions',
    by: changeLast('decision = decision + 1'),
    found: { S1: /^destination default: decision \d+ follows \d+$/ },
  },
  {
    broken: 'a destination that flows again with no ramp',
    by: async () => {
      await decide('paused', end)
      await decide('flowing', end + 1, { cause: 'ramped', actor: 'steady/guard' })
    },
    found: { S3: /^destination default: decision \d+ leads from paused to flowing$/ },
  },
  {
    broken: 'a hold by an operator',
    by: () => decide('held', end),
    found: { S3: /^destination default: decision \d+ leads from flowing to held by operator$/ },
  },
  {
    broken: 'a hold after no failure',
    by: change('failures', 'failures = 0'),
    found: { S3: /^destination default: decision 1 is by failures, but counts none$/ },
  },
  {
    broken: 'a pause that the guard ends before its time',
    by: sql(`update destination_decisions set until = until + interval '1 day' where until is not null`),
    found: { S3: /^destination default: decision \d+ ends a pause before its time$/ },
  },
  {
    broken: 'a pause without an end that the guard ends',
    by: sql(`update destination_decisions set until = null where until is not null`),
    found: { S3: /^destination default: decision \d+ ends a pause that has no end$/ },
  },
  {
    broken: 'a decision without a reason',
    by: changeLast(`reason = ' '`),
    found: { S14: /^destination default: decision \d+ has no actor or no reason$/ },
  },
  {
    broken: 'a decision without an actor',
    by: changeLast(`actor = ' '`),
    found: { S14: /^destination default: decision \d+ has no actor or no reason$/ },
  },
  {
    broken: 'a hold by nobody who is registered',
    by: change('failures', `actor = 'ghost/guard'`),
    found: { S14: /^destination default: decision 1: ghost\/guard is of no registered instance$/ },
  },
  {
    broken: 'a decision whose time goes back',
    by: changeLast(`recorded_at = recorded_at - interval '1 day'`),
    found: { S16: /^destination default: decision \d+ is recorded \d+ µs before \d+$/ },
  },
  {
    broken: 'a decision whose position goes back',
    by: changeLast('position = 1'),
    found: {
      S4: /^held between v3: retry_count is 1, folding gives 0$/,
      S16: /^destination default: decision \d+ has position 1 after \d+$/,
      S22: /^held between v3: attempt_failed uses up a retry while destination default is ramping \(decision \d+\)$/,
    },
  },
  ...[
    ['decision', 'decision + 1'],
    ['state', `'ramping'`],
    ['cause', `'operator'`],
    ['since', `since + interval '1 microsecond'`],
    ['until', 'now()'],
    ['state_decision', '1'],
    ['rate_limit', '7'],
    ['rate_burst', '7'],
  ].map(([column, value]) => ({
    broken: `destinations.${column}`,
    by: sql(`update destinations set ${column} = ${value}`),
    found: {
      S4: new RegExp(`^destination default: destinations.${column} is .+, its decisions give .+$`),
    },
  })),
  {
    broken: 'a destination that is lost',
    by: sql('delete from destinations'),
    found: { S4: /^destination default: has no row in destinations$/ },
  },
  {
    broken: 'a hold that would never be probed',
    by: async () => {
      await hold(end)
      await sql('update destinations set next_probe_at = null')()
    },
    found: { S4: /^destination default: is held, and no probe is planned$/ },
  },
]

async function check(): Promise<Record<string, string[]>> {
  return differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null }))
}

for (const { broken, by, found } of cases) {
  t.test(`${broken}: told as ${Object.keys(found).join(', ')} and as nothing else`, async (t) => {
    t.teardown(mend)
    await by()
    await pool.query('select rebuild_rollups(), rebuild_failures()')
    const lines = await check()
    t.same(Object.keys(lines), Object.keys(found), JSON.stringify(lines))
    for (const [id, line] of Object.entries(found))
      t.ok(
        lines[id]?.some((each) => line.test(each)),
        `${id}: ${String(line)} in ${lines[id]?.join('; ')}`,
      )
  })
}

t.test('an attempt that is open when a hold begins leaves the place of the probe free', async (t) => {
  t.teardown(mend)
  await start(end)
  await hold(end + 1)
  await startAgain(end + 2)
  t.same(await check(), {})
})

t.test('a probe that is open when a second hold begins does so too', async (t) => {
  t.teardown(mend)
  await hold(end)
  await start(end + 1)
  await decide('ramping', end + 2)
  await hold(end + 3)
  await startAgain(end + 4)
  t.same(await check(), {})
})
