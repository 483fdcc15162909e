import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Pool } from 'pg'
import t from 'tap'
import type { Claim } from '../../src/log/write/to-claim.ts'
import { look } from '../../src/log/write/look.ts'
import { planReplay } from '../../src/log/write/plan-replay.ts'
import { registerInstance } from '../../src/log/write/register-instance.ts'
import { startResolution } from '../../src/log/write/steer-job.ts'
import { stepJob } from '../../src/log/write/step-job.ts'
import { verify } from '../../src/verify/verify.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { breakable, differing, foldIntoDays } from './broken.ts'
import { accepted, History, unavailable, unknown, writeHistory } from './history.ts'

t.test('a log of every type of event is clean with both files, and every invariant is checked', async (t) => {
  const { url, pool } = await database(t)
  const history = await writeHistory(pool)
  await resolveAll(pool)
  const { rows } = await pool.query<{ types: number }>(
    'select count(distinct type)::int as types from message_events',
  )
  t.equal(rows[0]?.types, 19, 'the history has every type of event')
  const folder = t.testdir({ ledger: `${history.ledger.join('\n')}\n`, acks: `${history.acks.join('\n')}\n` })
  const report = await verify({
    databaseUrl: url,
    ledgerPath: join(folder, 'ledger'),
    acksPath: join(folder, 'acks'),
  })
  t.same(differing(report), {})
  for (const { id, checked, limit } of report.invariants) {
    t.ok(checked > 0, `${id} is checked`)
    t.equal(limit, null, `${id} is checked in full`)
  }
  t.equal(report.notYetConsumed, 0)
  t.equal(report.openEffects, 0)
})

/** Has a job resolve the dead letters that are open. */
async function resolveAll(pool: Pool): Promise<void> {
  const client = await pool.connect()
  const request = { filter: {}, given: {}, actor: 'alice', reason: 'the year is over' }
  const plan = await planReplay(client, request).finally(() => client.release())
  if (plan.kind !== 'planned') throw new Error(`no plan: ${plan.kind}`)
  await startResolution(pool, { plan: plan.id, actor: 'alice', as: 'ignored', reason: 'the year is over' })
  const runner = { actor: 'steady/jobs', room: 100, leaseMs: 60_000 }
  while ((await stepJob(pool, plan.id, runner)).state !== 'done');
}

t.test('an empty log is clean', async (t) => {
  const { url } = await database(t)
  const report = await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })
  t.same(differing(report), {})
  t.equal(report.messages, 0)
})

t.test(
  'a pause that ends by itself is clean, also after its limit was changed, and with nobody there but an operator',
  async (t) => {
    const { url, pool } = await database(t)
    const history = await History.begin(pool)
    await history.pause(20)
    await history.limit(7, 7)
    await history.guard('ramping')
    await history.pause(20)
    await wait(30)
    await history.pause()
    const { rows } = await pool.query(
      `select actor from destination_decisions where cause = 'until' order by decision`,
    )
    t.match(rows, [{ actor: /guard/ }, { actor: 'alice' }])
    t.same(differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })), {})
  },
)

t.test('an instance with a longer gap may ask when the gap of the one before it is over', async (t) => {
  const { url, pool } = await database(t)
  const history = await History.begin(pool)
  const settings = { instance: 'patient too', release: 'test', freshMax: 1, retryMax: 1, leaseMs: 600_000 }
  const retry = { retriesMax: 2, baseDelayMs: 20, maxDelayMs: 60 }
  await registerInstance(pool, { ...settings, timeoutMs: 1, retry, inquiryGapMs: 3_600_000 })
  const [claim] = await history.receive(['asked by both'], { room: 1 })
  await history.settle(claim!, unknown, 'fresh')
  await history.ask('retry', 'not_found')
  const lease = { leaseMs: 600_000, graceMs: 0, reconnectedAt: '-infinity' }
  await until('it to be asked about again', async () => {
    const room = { all: 1, slow: 1 }
    const doubt = { keyWindowMs: null, inquires: true }
    return (
      (
        await look(pool, {
          lane: 'retry',
          actor: 'patient too/retry',
          room,
          lease,
          lookFrom: {},
          withLeases: false,
          doubt,
        })
      ).inquiries.length > 0
    )
  })
  t.same(differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })), {})
})

t.test('an attempt that was not sent does not begin the window of the key', async (t) => {
  const { url, pool, history } = await breakable(t, (pool) => History.begin(pool))
  const [claim] = await history.receive(['known late'], { room: 1 })
  await history.deliver(claim!, { kind: 'not_sent', reason: 'connection refused' })
  await history.deliver(await history.claim('retry'), unknown, 'retry')
  await history.claim('retry')
  const findS27 = async () =>
    differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })).S27
  const putBack = (upTo: number) =>
    pool.query(
      `update message_events set recorded_at = recorded_at - interval '2 days' where version <= $1`,
      [upTo],
    )
  await putBack(3)
  t.equal(await findS27(), undefined, 'the first attempt is two days old, and was not sent')
  await putBack(5)
  t.match(await findS27(), [
    /^known late v6: attempt 3 starts, but it is in doubt since version 5, and its key may be forgotten/,
  ])
})

t.test('an effect of an attempt that is still open is counted and is no difference', async (t) => {
  const { url, pool } = await database(t)
  const history = await History.begin(pool)
  const [claim] = await history.receive(['open'], { room: 1 })
  history.request(claim!, true)
  const folder = t.testdir({ ledger: `${history.ledger.join('\n')}\n` })
  const report = await verify({ databaseUrl: url, ledgerPath: join(folder, 'ledger'), acksPath: null })
  t.same(differing(report), {})
  t.equal(report.openEffects, 1)
})

t.test(
  'an attempt that waited in its lane and was not sent is retried at once, also when no retry is left',
  async (t) => {
    const { url, pool } = await database(t)
    const history = await History.begin(pool)
    const check = async () => differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null }))
    const reason = 'waited in its lane and was not sent: the service is stopping'
    const settleUnsent = (claim: Claim, delayMs: number) =>
      history.settle(claim, { kind: 'not_sent', reason }, 'retry', 'steady', delayMs)

    const [first] = await history.receive(['waited'], { room: 1 })
    await history.deliver(first!, unavailable)
    await history.deliver(await history.claim('retry'), unavailable, 'retry')
    await settleUnsent(await history.claim('retry'), 0)
    t.same(await check(), {}, 'its two retries are used up')
    const { rows } = await pool.query('select status, retry_count, attempts from messages')
    t.same(rows, [{ status: 'failed', retry_count: 2, attempts: 3 }])
    await settleUnsent(await history.claim('retry'), 5)
    t.match(await check(), {
      S9: [/^waited v9: waited in its lane and was not sent, but is not due at once$/],
    })
  },
)

t.test('counts that were folded are still the counts', async (t) => {
  const { url, pool } = await database(t)
  await writeHistory(pool)
  await pool.query('select fold_piece()')
  t.same(differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })), {})
})

t.test('rollups that have become days are clean, and so is what is added to them later', async (t) => {
  const { url, pool } = await database(t)
  await writeHistory(pool)
  await foldIntoDays(pool)
  t.equal(
    (await pool.query(`select from rollups where minute <> date_bin('24 hours', minute, 'epoch')`)).rowCount,
    0,
  )
  t.same(differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })), {})
  await pool.query(
    `select replay_messages(array[transaction_id], 'alice', 'again', null) from messages where status = 'dead_letter' limit 1`,
  )
  t.ok((await pool.query('select from status_count_deltas')).rowCount! > 0)
  t.same(differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })), {})
})

t.test(
  'a log that grows while it is verified is clean each time, with files that grow as well',
  async (t) => {
    const { url, pool } = await database(t)
    const history = await History.begin(pool)
    const folder = t.testdir({ ledger: '', acks: '' })
    const files = { ledgerPath: join(folder, 'ledger'), acksPath: join(folder, 'acks') }
    let written = 0
    let ended = false
    const flush = (): void => {
      // The processor and the broker have written before they answer.
      appendFileSync(
        files.ledgerPath,
        history.ledger
          .splice(0)
          .map((line) => `${line}\n`)
          .join(''),
      )
      appendFileSync(
        files.acksPath,
        history.acks
          .splice(0)
          .map((line) => `${line}\n`)
          .join(''),
      )
    }
    const write = async (): Promise<void> => {
      while (!ended) {
        const ids = Array.from({ length: 3 }, () => `grown ${++written}`)
        const claims = await history.receive(ids, { room: 2 })
        claims.push(await history.claim('fresh'))
        for (const [nth, claim] of claims.entries()) {
          history.request(claim, nth !== 1)
          flush()
          await history.settle(claim, nth === 1 ? unavailable : accepted, 'fresh')
        }
        await retry(history, flush)
      }
    }
    const writer = write()
    let events = 0
    for (let runs = 0; runs < 10 || events < 200; runs++) {
      const report = await verify({ databaseUrl: url, ...files })
      t.same(differing(report), {})
      t.ok(report.events >= events, 'later snapshots hold no less')
      events = report.events
    }
    ended = true
    await writer
  },
)

async function retry(history: History, flush: () => void): Promise<void> {
  const claim = await history.claim('retry')
  history.request(claim, true)
  flush()
  await history.settle(claim, accepted, 'retry')
}
