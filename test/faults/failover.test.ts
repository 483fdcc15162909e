import { readFile, rename } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { copyCluster } from '../support/copy-cluster.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { startPostgresPair } from '../support/postgres-pair.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

// A failover for each, and a restore for every other; with FAILOVER_RUNS=10 their lags go from the shortest to the longest.
const runs = Number(process.env.FAILOVER_RUNS ?? 2)
const lagMsMin = 500
const lagMsMax = 3_000
// Longer than the failover takes: what was asked before it is answered after it, when the ids may be another's.
const latencyMs = 4_000
const mockFlags = ['--success', '0.6', '--latency', String(latencyMs)]
const recordsPerSecond = 200
// A sequence is logged so many values ahead, and so the ids of the first messages lost are not given out again.
const idsLoggedAhead = 32

t.setTimeout((runs + 1) * 300_000)

for (const [run, lagMs] of spreadLags(runs).entries()) {
  const instances = 1 + (run % 2)
  t.test(
    `a standby ${lagMs} ms behind is promoted under ${instances} running: each success is its own`,
    async (t) => {
      const pair = await startPostgresPair(t)
      const line = await setUpLine(t, mockFlags, { database: pair })
      const work = await startWork(t, line, instances, lagMs)
      await pair.stopReplication()
      await waitForLoss(line, lagMs)
      await pair.killPrimary()
      pair.switchTo('standby')
      await pair.promote()
      await isTrue(t, line, work)
    },
  )
}

for (const [run, lagMs] of spreadLags(Math.ceil(runs / 2)).entries()) {
  const instances = 1 + (run % 2)
  t.test(
    `a copy ${lagMs} ms old is put back under ${instances} running: each success is its own`,
    async (t) => {
      const postgres = await startOwnPostgres(t)
      const line = await setUpLine(t, mockFlags, { database: postgres })
      const work = await startWork(t, line, instances, lagMs)
      const copy = `${postgres.cluster}.copy`
      await copyCluster(postgres.pool, postgres.cluster, copy)
      await waitForLoss(line, lagMs)
      postgres.crash()
      await until('the server to be gone', () => !postgres.isAlive())
      await rename(postgres.cluster, `${postgres.cluster}.lost`)
      await rename(copy, postgres.cluster)
      await postgres.restart()
      await isTrue(t, line, work)
    },
  )
}

t.test('a synchronous standby is promoted: nothing is lost, and nothing is sent again', async (t) => {
  const pair = await startPostgresPair(t, { synchronous: true })
  const line = await setUpLine(t, mockFlags, { database: pair })
  const work = await startWork(t, line, 1, lagMsMin)
  await waitForLoss(line, lagMsMin)
  await pair.killPrimary()
  pair.switchTo('standby')
  await pair.promote()
  await isTrue(t, line, work)
  await line.isSentOnce(t)
})

/** From the shortest lag to the longest; one alone is in the middle. */
function spreadLags(count: number): number[] {
  if (count === 1) return [(lagMsMin + lagMsMax) / 2]
  return Array.from({ length: count }, (_, at) =>
    Math.round(lagMsMin + (at * (lagMsMax - lagMsMin)) / (count - 1)),
  )
}

/**
 * Starts the instances and an even stream of records that outlasts the failover; resolves when attempts are open.
 *
 * @returns how many records it will have been, once all are acknowledged
 */
async function startWork(
  t: Test,
  line: Line,
  instances: number,
  lagMs: number,
): Promise<{ produced: Promise<number> }> {
  const settings = {
    ...line.settings,
    // Of room there is always enough, or what comes again would wait for what was sent before.
    MAX_CONCURRENT: '2000',
    MAX_CONCURRENT_RETRIES: '2000',
    DOWNSTREAM_TIMEOUT: '6',
    LEASE: '7',
    MAX_RETRIES: '2',
  }
  for (let started = 0; started < instances; started++) await startReadyService(t, settings)
  const count = Math.ceil(((lagMs + 3_000) / 1_000) * recordsPerSecond)
  const produced = line.produce(count, recordsPerSecond).then(() => count)
  await until('attempts to be open', async () => (await line.counts()).processing > 50)
  return { produced }
}

/** Waits so long, and until payments are with the processor whose ids will be given out again. */
async function waitForLoss(line: Line, lagMs: number): Promise<void> {
  const { rows } = await line.pool.query<{ last: string }>('select max(message_id) as last from messages')
  const givenAgainFrom = Number(rows[0]?.last) + idsLoggedAhead
  await sleep(lagMs)
  await until('payments to be with the processor under ids that will be lost', async () => {
    const sent = new Set((await line.ledger()).map((entry) => entry.transaction_id))
    const { rows: open } = await line.pool.query<{ transaction_id: string }>(
      `select transaction_id from messages where message_id > $1 and status = 'processing'`,
      [givenAgainFrom],
    )
    return open.filter((message) => sent.has(message.transaction_id)).length > 40
  })
}

/** Asserts that every acknowledged record is there, and that the log says of each payment what the processor says. */
async function isTrue(t: Test, line: Line, { produced }: { produced: Promise<number> }): Promise<void> {
  await line.settled(await produced)
  const { rows } = await line.pool.query<{ transaction_id: string; status: string }>(
    'select transaction_id, status from messages',
  )
  const known = new Set(rows.map((row) => row.transaction_id))
  const acknowledged = (await readFile(line.acksPath, 'utf8')).trimEnd().split('\n')
  const missing = acknowledged
    .map((entry) => (JSON.parse(entry) as { transaction_id: string }).transaction_id)
    .filter((id) => !known.has(id))
  t.same(missing, [], 'every acknowledged record is in the log')

  const ledger = await line.ledger()
  const accepted = new Set(ledger.filter(({ status }) => status < 300).map((entry) => entry.transaction_id))
  const successes = rows.filter(({ status }) => status === 'success').map((row) => row.transaction_id)
  t.same(
    successes.filter((id) => !accepted.has(id)),
    [],
    `no success that the processor never accepted, of ${successes.length}`,
  )
  const effects = ledger.filter(({ effect }) => effect).map(({ key }) => key)
  t.equal(new Set(effects).size, effects.length, 'no key has two effects')
  await line.isClean(t)
}
