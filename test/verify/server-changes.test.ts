import { join } from 'node:path'
import type { Pool } from 'pg'
import t, { type Test } from 'tap'
import { recognizeServer } from '../../src/log/server/recognize-server.ts'
import { keepStray } from '../../src/log/write/keep-stray.ts'
import type { TransactionId } from '../../src/message/message.ts'
import { printJson, printText } from '../../src/verify/print.ts'
import { verify, type Report } from '../../src/verify/verify.ts'
import { database } from '../support/database.ts'
import { differing } from './broken.ts'
import { accepted, History, refused, unavailable } from './history.ts'

type Line = Record<string, unknown>

/** The log says that it was last on another timeline, as that of a promoted standby does. */
async function promote(pool: Pool): Promise<void> {
  await pool.query('alter table server_changes disable trigger append_only')
  await pool.query('update server_changes set timeline = timeline + 100')
  await pool.query('alter table server_changes enable always trigger append_only')
  await recognizeServer(pool, 'steady', null, null)
}

async function setUp(t: Test) {
  const { url, pool } = await database(t)
  const history = await History.begin(pool)
  const [claim] = await history.receive(['kept'], { room: 1 })
  await history.deliver(claim!, accepted)
  await recognizeServer(pool, 'steady', null, null)
  const check = (ledger: readonly string[]): Promise<Report> => {
    const folder = t.testdir({ ledger: `${ledger.join('\n')}\n` })
    return verify({ databaseUrl: url, ledgerPath: join(folder, 'ledger'), acksPath: null })
  }
  const request = (changes: Line): string =>
    JSON.stringify({ ...(JSON.parse(history.ledger[0]!) as Line), effect: false, ...changes })
  return { pool, history, check, request }
}

const lost = { transaction_id: 'tx-1', key: 'arpplfgyduxscngwcfi624jgbwhxtzsx' }

t.test(
  'requests of attempts that a failover took out of the log are explained by it, and counted',
  async (t) => {
    const { pool, history, check, request } = await setUp(t)
    const again = request({ at: new Date().toISOString() })
    const stray = request({ ...lost, at: new Date().toISOString() })
    const ledger = [...history.ledger, again, stray]
    t.match(differing(await check(ledger)), {
      S21: [
        /^kept: 2 requests, but 1 attempts were started$/,
        /^tx-1: was requested, but the log has no such message$/,
      ],
    })
    await promote(pool)
    const report = await check(ledger)
    t.same(differing(report), {})
    t.match(report, {
      lostRequests: 3,
      serverChanges: [{ epoch: 2, actor: 'steady', timeline: 1, fromTimeline: 101 }],
    })
    t.match(printText(report), /^the database server changed \(timeline 101 to 1, noticed at .* by steady\)/m)
    t.match(printText(report), /^3 requests are of attempts that this took out of the log: no difference$/m)
    t.match(JSON.parse(printJson(report)), {
      clean: true,
      lost_requests: 3,
      server_changes: [{ from_timeline: 101 }],
    })
  },
)

t.test('a request from long before or after a failover is not explained by it', async (t) => {
  const { pool, history, check, request } = await setUp(t)
  await promote(pool)
  for (const ms of [-3_600_000, 3_600_000]) {
    const stray = request({ ...lost, at: new Date(Date.now() + ms).toISOString() })
    t.match(differing(await check([...history.ledger, stray])), { S21: [/^tx-1: was requested/] })
  }
})

t.test('a success still needs an effect of its own, and a key has one effect at most', async (t) => {
  const { pool, history, check } = await setUp(t)
  await promote(pool)
  t.match(differing(await check([...history.ledger, history.ledger[0]!])), { S21: [/more than one effect/] })
  t.match(
    differing(await check(history.ledger.map((line) => line.replace('"effect":true', '"effect":false')))),
    {
      S21: [/^kept: was accepted, and the ledger has no effect$/],
    },
  )
})

t.test(
  'an effect of a lost attempt is right while its payment is about to be sent again, and no longer',
  async (t) => {
    const { pool, history, check } = await setUp(t)
    const [waits, dead] = await history.receive(['waits', 'dead'], { room: 2 })
    for (const claim of [waits!, dead!]) history.request(claim, true)
    await history.settle(waits!, unavailable, 'fresh')
    await history.settle(dead!, refused, 'fresh')
    t.match(differing(await check(history.ledger)), {
      S21: [/^waits: has an effect/, /^dead: has an effect/],
    })
    await promote(pool)
    t.match(differing(await check(history.ledger)), { S21: [/^dead: has an effect, but is dead_letter/] })
  },
)

t.test('attempts that were open before a failover do not count against the lane after it', async (t) => {
  const { pool, check, history } = await setUp(t)
  const lane = 'steady/fresh'
  const { rows } = await pool.query<{ fresh_max: number }>(
    'select fresh_max from instances where instance = $1',
    ['steady'],
  )
  const limit = rows[0]!.fresh_max
  const open = async (count: number) =>
    history.receive(
      Array.from({ length: count }, (_, at) => `${lane} ${count} ${at} ${Math.random()}`),
      { room: count },
    )
  await open(limit)
  await promote(pool)
  await open(limit)
  t.same(differing(await check(history.ledger)), {})
  await open(1)
  t.match(differing(await check(history.ledger)), { S17: [/attempts open at position/] })
})

t.test('evidence of a lost attempt is right after a failover, and wrong where there was none', async (t) => {
  const { pool, history, check } = await setUp(t)
  const [claim] = await history.receive(['paid before'], { room: 1 })
  history.request(claim!, true)
  const settlement = {
    ...claim!,
    attempt: 2,
    leaseEndsAt: 1n,
    outcome: accepted,
    durationMs: 1,
    decision: { then: 'success' },
    verdict: 'success',
  } as const
  t.equal(await keepStray(pool, 'steady/fresh', settlement, claim!.payload), true)
  t.match(differing(await check(history.ledger)), { S6: [/^paid before v4: late result of no attempt/] })
  await promote(pool)
  await keepStray(
    pool,
    'steady/fresh',
    { ...settlement, transactionId: 'elsewhere' as TransactionId },
    Buffer.of(1),
  )
  const report = await check(history.ledger)
  t.equal(report.strayOutcomes, 1)
  t.match(printText(report), /^1 outcomes of such attempts wait until Kafka/m)
})
