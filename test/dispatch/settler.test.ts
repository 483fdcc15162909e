import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type pg from 'pg'
import { Settler } from '../../src/dispatch/settler.ts'
import type { Finished } from '../../src/dispatch/outcome-store.ts'
import type { Claim } from '../../src/log/write/to-claim.ts'
import type { SettleAnswer } from '../../src/log/write/settle.ts'
import type { MessageId } from '../../src/message/message.ts'
import { recordLines } from '../ingest/harness.ts'
import { accepted, fresh, openClaims, session } from '../log/support.ts'
import { database } from '../support/database.ts'
import { rebuildAll } from '../support/rebuild.ts'
import { until } from '../support/until.ts'

/** A settler with 400 attempts open in the log; the row of the first one's message is locked by another session. */
async function setUp(t: Test) {
  const { pool, url } = await database(t)
  const finished = (await openClaims(pool, 400)).map(finish)
  const settled = new Set<MessageId>()
  const batches: number[] = []
  const settler = new Settler({
    database: pool,
    actor: fresh,
    logger: pino({ level: 'silent' }),
    openCount: () => finished.length - settled.size,
    onSettled: (batch, answers) => {
      batches.push(batch.length)
      for (const [at, { messageId }] of batch.entries()) {
        t.equal(answers[at], 'appended')
        settled.add(messageId)
      }
    },
    onOutage: () => undefined,
    beforeStore: () => undefined,
  })
  const operator = await session(t, url)
  await operator.database.query('begin')
  await operator.database.query('select from message_states where message_id = $1 for update', [
    finished[0]!.messageId,
  ])
  return { pool, settler, settled, finished, batches, operator: operator.database }
}

function finish(claim: Claim): Finished {
  return {
    ...claim,
    outcome: accepted,
    durationMs: 1,
    waitedMs: 0,
    decision: { then: 'success' },
    verdict: 'success',
    claim,
  }
}

/** What a log has whose trigger was off for a while: the outcome stands in it, and the projection knows nothing of it. */
async function appendUnprojected(pool: pg.Pool, messageId: MessageId): Promise<void> {
  await pool.query('alter table message_events disable trigger project')
  await pool.query(
    `insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, attempt, outcome)
      select message_id, version + 1, position, recorded_at, 'succeeded', $2, 'success', 0, attempts, 'accepted'
      from message_states where message_id = $1`,
    [messageId, fresh],
  )
  await pool.query('alter table message_events enable trigger project')
}

/** The session that waits for a lock. */
async function findWaiting(pool: pg.Pool): Promise<number | undefined> {
  const { rows } = await pool.query<{ pid: number }>(
    `select pid from pg_stat_activity where wait_event_type = 'Lock' and query like '%settle_attempts(%' and datname = current_database()`,
  )
  return rows[0]?.pid
}

t.test('while one batch waits another is made of what has finished, if that is worth a batch', async (t) => {
  const { pool, settler, settled, batches, finished, operator } = await setUp(t)
  for (const each of finished.slice(0, 10)) settler.add(each)
  await until('the first batch to wait', async () => (await findWaiting(pool)) !== undefined)
  for (const each of finished.slice(10, 200)) settler.add(each)
  await until('the second to be stored', () => settled.size === 190)
  for (const each of finished.slice(200, 300)) settler.add(each)
  await sleep(50)
  for (const each of finished.slice(300)) settler.add(each)
  await until('all but the first batch', () => settled.size === 390)
  t.strictSame(batches, [190, 200], 'a hundred were too little for a batch beside another')
  await operator.query('commit')
  await until('the rest', () => settled.size === finished.length)
  t.equal(await settler.end(10_000), 0)
})

t.test(
  'outcomes are behind for as long as one batch of an outage is held, whatever is stored beside it',
  async (t) => {
    const { pool, settler, settled, finished, operator } = await setUp(t)
    for (const each of finished.slice(0, 10)) settler.add(each)
    await until('the first batch to wait', async () => (await findWaiting(pool)) !== undefined)
    t.notOk(settler.behind)
    await pool.query('select pg_terminate_backend($1)', [await findWaiting(pool)])
    await until('its session to be missed', () => settler.behind)
    for (const each of finished.slice(10)) settler.add(each)
    await until('another batch to be stored', () => settled.size >= 150)
    t.ok(settler.behind)
    t.ok(settler.lastError)
    await operator.query('commit')
    await until('the rest', () => settled.size === finished.length)
    t.notOk(settler.behind)
    t.equal(settler.lastError, null)
  },
)

t.test(
  'an outcome that the log does not take is kept, told once and tried again, and holds up no other',
  async (t) => {
    const { pool } = await database(t)
    const claims = await openClaims(pool, 50)
    const ids = claims.map(({ messageId }) => messageId)
    await appendUnprojected(pool, ids[17]!)
    const settled = new Map<MessageId, SettleAnswer>()
    const { logger, lines } = recordLines()
    const settler = new Settler({
      database: pool,
      actor: fresh,
      logger,
      openCount: () => ids.length - settled.size,
      onSettled: (batch, answers) =>
        batch.forEach(({ messageId }, at) => settled.set(messageId, answers[at]!)),
      onOutage: () => t.fail('the database is not away'),
      beforeStore: () => undefined,
    })
    for (const claim of claims) settler.add(finish(claim))
    await until('the others to be stored', () => settled.size === 49)
    await until('the reason to be told', () => settler.lastError !== null)
    t.match(settler.lastError, /the log does not take an outcome: duplicate key.*message_events_s1_pkey/)
    t.notOk(settler.behind, 'the lane goes on')
    t.notOk(settled.has(ids[17]!))

    t.ok((await rebuildAll(pool)).length > 0, 'the projection is mended')
    await until('the last one to be stored', () => settled.size === 50)
    t.equal(settled.get(ids[17]!), 'already')
    t.equal(settler.lastError, null)
    t.match(lines, [
      {
        level: 50,
        event: /not taken by the log/,
        transaction_id: claims[17]!.transactionId,
        outcome: 'accepted',
      },
    ])
    t.equal(await settler.end(10_000), 0)
  },
)
