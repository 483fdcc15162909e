import { readFile, rename } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { copyCluster } from '../support/copy-cluster.ts'
import type { TestDatabase } from '../support/database.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { startPostgresPair, type PostgresPair } from '../support/postgres-pair.ts'
import { startProxy } from '../support/proxy.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'
import { throughPort } from '../wake/start-listener.ts'

t.jobs = 2

// So many failovers, and half as many restores; with FAILOVER_RUNS=10 their lags go from the shortest to the longest.
const runs = Number(process.env.FAILOVER_RUNS ?? 2)
const lagMsMin = 500
const lagMsMax = 3_000
const recordsPerSecond = 100
// A sequence is logged so many values ahead, and so the ids of the first messages lost are not given out again.
const idsLoggedAhead = 32
const attemptsMin = 40

t.setTimeout((runs + 2) * 300_000)

for (const [run, lagMs] of spreadLags(runs).entries()) {
  const instances = 1 + (run % 2)
  t.test(
    `a standby ${lagMs} ms behind is promoted under ${instances} running: each success is its own`,
    { buffered: true },
    async (t) => {
      const pair = await startPostgresPair(t)
      const work = await startWork(t, pair, instances)
      await pair.stopReplication()
      const from = await work.lose(lagMs)
      await failOver(pair)
      await work.giveAgain(from)
      await isTrue(t, work.line, await work.end())
    },
  )
}

for (const [run, lagMs] of spreadLags(Math.ceil(runs / 2)).entries()) {
  const instances = 1 + (run % 2)
  t.test(
    `a copy ${lagMs} ms old is put back under ${instances} running: each success is its own`,
    { buffered: true },
    async (t) => {
      const postgres = await startOwnPostgres(t)
      const work = await startWork(t, postgres, instances)
      const copy = `${postgres.cluster}.copy`
      await copyCluster(postgres.pool, postgres.cluster, copy)
      const from = await work.lose(lagMs)
      postgres.crash()
      await until('the server to be gone', () => !postgres.isAlive())
      await rename(postgres.cluster, `${postgres.cluster}.lost`)
      await rename(copy, postgres.cluster)
      await postgres.restart()
      await work.giveAgain(from)
      await isTrue(t, work.line, await work.end())
    },
  )
}

t.test(
  'what a failover lost is read again also where no record comes any more',
  { buffered: true },
  async (t) => {
    const pair = await startPostgresPair(t)
    const work = await startWork(t, pair, 1)
    await pair.stopReplication()
    const from = await work.lose(lagMsMin)
    const produced = await work.end()
    await until('all records to be stored', async () => (await countStored(work.line)) === produced)
    await failOver(pair)
    await work.giveAgain(from)
    await isTrue(t, work.line, produced)
  },
)

t.test(
  'a synchronous standby is promoted: nothing is lost, and nothing is sent again',
  { buffered: true },
  async (t) => {
    const pair = await startPostgresPair(t, { synchronous: true })
    const work = await startWork(t, pair, 1)
    const from = await work.lose(lagMsMin)
    await failOver(pair)
    await work.giveAgain(from)
    await isTrue(t, work.line, await work.end())
    await work.line.isSentOnce(t)
  },
)

/** From the shortest lag to the longest; one alone is in the middle. */
function spreadLags(count: number): number[] {
  if (count === 1) return [(lagMsMin + lagMsMax) / 2]
  return Array.from({ length: count }, (_, at) =>
    Math.round(lagMsMin + (at * (lagMsMax - lagMsMin)) / (count - 1)),
  )
}

interface Work {
  line: Line
  /**
   * Waits so long, then has the processor's answers held back, and waits until payments are with it whose ids will be given to
   * others once the database has lost what it stored since now.
   *
   * @returns from which id on
   */
  lose(lagMs: number): Promise<number>
  /** Waits until others are under way under these ids, and has what was asked before answered only then. */
  giveAgain(from: number): Promise<void>
  /** Ends the stream of records; resolves with how many it was, all of them acknowledged. */
  end(): Promise<number>
}

/** Starts the instances and an even stream of records; resolves when attempts are open. */
async function startWork(t: Test, database: TestDatabase, instances: number): Promise<Work> {
  const line = await setUpLine(t, ['--success', '0.6', '--latency', '300'], { database })
  const proxy = await startProxy(t, { host: '127.0.0.1', port: line.mock.port })
  const settings = {
    ...line.settings,
    DOWNSTREAM_URL: throughPort(line.mock.url, proxy.port),
    DOWNSTREAM_TIMEOUT: '12',
    LEASE: '13',
    // Of room there is always enough, or what comes again would wait for what was sent before.
    MAX_CONCURRENT: '1000',
  }
  for (let started = 0; started < instances; started++) await startReadyService(t, settings)
  const stream = produceOn(line)
  t.teardown(() => stream.end())
  await until('payments to be accepted', async () => (await line.counts()).success > 20)
  return {
    line,
    lose: async (lagMs) => {
      const { rows } = await line.pool.query<{ last: string }>(
        'select max(message_id) as last from message_states',
      )
      const from = Number(rows[0]?.last) + 1 + idsLoggedAhead
      await sleep(lagMs)
      proxy.freeze('toClient')
      await until('payments to be with the processor under ids that will be lost', async () => {
        const sent = new Set((await line.ledger()).map((entry) => entry.transaction_id))
        return (await findOpen(line, from)).filter((id) => sent.has(id)).length >= attemptsMin
      })
      return from
    },
    giveAgain: async (from) => {
      await until('attempts to be open under ids that were given again', async () => {
        return (await findOpen(line, from)).length >= attemptsMin
      })
      proxy.thaw()
    },
    end: () => stream.end(),
  }
}

function produceOn(line: Line): Pick<Work, 'end'> {
  let ended = false
  const produce = async (): Promise<number> => {
    let produced = 0
    for (; !ended; produced += recordsPerSecond) await line.produce(recordsPerSecond, recordsPerSecond)
    return produced
  }
  const producing = produce()
  return {
    end: () => {
      ended = true
      return producing
    },
  }
}

/** The payments whose attempts are open under these ids. */
async function findOpen({ pool }: Line, from: number): Promise<string[]> {
  const { rows } = await pool.query<{ transaction_id: string }>(
    `select transaction_id from messages where message_id >= $1 and status = 'processing'`,
    [from],
  )
  return rows.map((row) => row.transaction_id)
}

async function countStored(line: Line): Promise<number> {
  return Object.values(await line.counts()).reduce((sum, count) => sum + count, 0)
}

async function failOver(pair: PostgresPair): Promise<void> {
  await pair.killPrimary()
  pair.switchTo('standby')
  await pair.promote()
}

/** Asserts that every acknowledged record is there, and that the log says of each payment what the processor says. */
async function isTrue(t: Test, line: Line, produced: number): Promise<void> {
  await line.settled(produced)
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
