import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { database } from '../support/database.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { editionOf, layOutRelease, withoutRelease } from '../support/older-release.ts'
import { isReady, startReadyService, startService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

// Two releases on one database, one group and one topic, as a rolling upgrade and the way back have them. To the database a release
// is older if it does not know the last migration, or if its functions are of an earlier edition.
const fewerTables = 'ca5ec07b1ec5087de9bedff1dec7217366c4f12d'
const sameTables = 'a7c4bd901b7f6970a5edb01050390a26096b9896'

t.jobs = 2

/** Payments that come for as long as the releases change. */
function keepProducing(line: Line): { stop: () => Promise<number> } {
  let produced = 0
  const over = new AbortController()
  const load = (async () => {
    while (!over.signal.aborted) {
      await line.produce(50, 100)
      produced += 50
    }
    return produced
  })()
  // Whoever stops it is told.
  load.catch(() => undefined)
  return {
    stop: () => {
      over.abort()
      return load
    },
  }
}

/** Waits until each of them has ended some more attempts than it has by now, as its log tells. */
async function areAtWork(services: readonly Service[]): Promise<void> {
  const count = ({ log }: Service): number => log.filter(({ event }) => event === 'attempt').length
  const before = services.map(count)
  await until('each of them to be at work', () =>
    services.every((each, at) => count(each) >= before[at]! + 20),
  )
}

async function setUp(t: Test, commit: string) {
  const command = await layOutRelease(t, commit)
  const made = await setUpLine(t, ['--success', '0.9', '--latency', '20'], {
    database: await database(t, { empty: true }),
    partitions: 6,
  })
  // Soon some payments are dead letters, which a migration may have to count.
  const line = { ...made, settings: { ...made.settings, MAX_RETRIES: '1' } }
  const startOlder = () => startService(t, line.settings, undefined, command)
  const [one, other] = [await startOlder(), await startOlder()]
  await Promise.all([one, other].map(isReady))
  const load = keepProducing(line)
  await areAtWork([one, other])
  await until('dead letters of the release before', async () => (await line.counts()).dead_letter > 0)

  const first = await startReadyService(t, line.settings)
  await areAtWork([one, other, first])
  first.kill('SIGKILL')
  const newer = await startReadyService(t, line.settings)
  await areAtWork([one, other, newer])
  one.kill('SIGKILL')
  await areAtWork([other, newer])
  return { line, load, startOlder, other, newer }
}

t.test(
  'a release that does not know the last migration works beside this one, and alone when this one is stopped',
  { buffered: true, skip: withoutRelease(fewerTables) },
  async (t) => {
    const { line, load, startOlder, other, newer } = await setUp(t, fewerTables)
    const refused = await startOlder()
    t.equal(await refused.ended, 1, 'it does not start again')
    t.match(refused.errors(), /newer than this release: it has 0010_unknown\.sql/)

    newer.kill('SIGTERM')
    t.equal(await newer.ended, 0)
    await areAtWork([other])
    await line.settled(await load.stop())
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)

t.test(
  'a release with earlier functions works beside this one, starts again on the later functions, works alone, and goes back for good',
  { buffered: true, skip: withoutRelease(sameTables) },
  async (t) => {
    const { line, load, startOlder, other, newer } = await setUp(t, sameTables)
    const again = await startOlder()
    await isReady(again)
    await until('it to say that it works with later functions', () =>
      again.log.some(({ event }) => event === 'a later release has brought its own functions, and they stay'),
    )
    await areAtWork([other, newer, again])

    newer.kill('SIGTERM')
    t.equal(await newer.ended, 0)
    await areAtWork([other, again])
    await line.settled(await load.stop())

    for (const each of [other, again]) each.kill('SIGTERM')
    for (const each of [other, again]) await each.ended
    await line.pool.query(readWayBack())
    const back = await startOlder()
    await isReady(back)
    const { rows } = await line.pool.query<{ edition: number }>(
      'select distinct edition from schema_functions',
    )
    t.strictSame(rows, [{ edition: editionOf(sameTables) }], 'it has its own functions')
    await line.produce(50, 200)
    await line.settled((await load.stop()) + 50)
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)

/** The statements of docs/deploy.md, as an operator copies them. */
function readWayBack(): string {
  const document = readFileSync(new URL('../../docs/deploy.md', import.meta.url), 'utf8')
  return /```sql\n([^]*?)```/.exec(document.slice(document.indexOf('**Going back.**')))?.[1] ?? ''
}
