import t from 'tap'
import type { DecodedRecord } from '../../../src/log/write/ingest.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import {
  accepted,
  fresh,
  idOf,
  newName,
  openAttempts,
  record,
  session,
  settle,
  settleOne,
  settlement,
  stateOf,
  store,
  topic,
  typesOf,
  waitsFor,
} from '../support.ts'

const { pool, url } = await database(t)
const one = await session(t, url)
const other = await session(t, url)

/** Both sessions store a slice; the second waits for the first, which ends by `end`. */
async function race(first: DecodedRecord[], second: DecodedRecord[], partition: number, end = 'commit') {
  await one.database.query('begin')
  await other.database.query('begin')
  const won = await store(one.database, first, { partition })
  const losing = store(other.database, second, { partition: partition + 1 })
  await waitsFor(pool, other, one, losing)
  await one.database.query(end)
  const lost = await losing
  await other.database.query('commit')
  return { won, lost }
}

t.test(
  'of two partitions that bring the same new id at once one receives, the other duplicates',
  async (t) => {
    const [name, before, after] = [newName(), newName(), newName()]
    const { won, lost } = await race(
      [record(0, name)],
      [record(0, before), record(1, name), record(2, after)],
      800,
    )
    t.strictSame(won.results, ['received'])
    t.strictSame(lost.results, ['received', 'duplicate', 'received'])
    t.strictSame(await typesOf(pool, await idOf(pool, name)), ['received', 'duplicate_received'])
  },
)

t.test('of two partitions that bring the same new id with other bytes at once one conflicts', async (t) => {
  const name = newName()
  const { lost } = await race([record(0, name)], [record(5, name, { bytes: 'other' })], 802)
  t.strictSame(lost.results, ['conflict'])
  t.strictSame(await typesOf(pool, await idOf(pool, name)), ['received', 'conflict_received'])
  t.strictSame(await typesOf(pool, await idOf(pool, `record:${topic}:803:5`)), ['conflict_received'])
})

t.test('if the partition that came first rolls back, the other receives the id', async (t) => {
  const name = newName()
  const { lost } = await race([record(0, name)], [record(0, name)], 804, 'rollback')
  t.strictSame(lost.results, ['received'])
  t.strictSame(await typesOf(pool, await idOf(pool, name)), ['received'])
})

t.test('slices with the same new ids in opposite order do not deadlock', async (t) => {
  const names = [newName(), newName(), newName()]
  const records = (order: string[]) => order.map((name, at) => record(at, name))
  const { won, lost } = await race(records(names), records(names.toReversed()), 806)
  t.strictSame(won.results, ['received', 'received', 'received'])
  t.strictSame(lost.results, ['duplicate', 'duplicate', 'duplicate'])
})

t.test('slices with new ids of their own and duplicates of each other’s do not deadlock', async (t) => {
  // Each round: both bring two new ids that the other brings too, around known ones, in opposite orders.
  const known = [newName(), newName(), newName(), newName()]
  await store(
    pool,
    known.map((name, at) => record(at, name)),
  )
  for (let round = 0; round < 15; round++) {
    const names = [newName(), newName(), ...known, newName()]
    const offset = round * names.length
    const slices = [names, names.toReversed()].map((order) =>
      order.map((name, at) => record(offset + at, name, { bytes: 'first' })),
    )
    const answers = await Promise.all([
      store(one.database, slices[0]!, { partition: 810, room: 2 }),
      store(other.database, slices[1]!, { partition: 811, room: 2 }),
    ])
    const results = answers.flatMap((answer) => answer.results)
    t.equal(results.filter((result) => result === 'received').length, 3)
    t.equal(results.filter((result) => result === 'duplicate').length, 11)
  }
})

t.test('duplicates lock the known messages in the order of their ids', async (t) => {
  const names = [newName(), newName()]
  await store(
    pool,
    names.map((name, at) => record(at, name)),
  )
  const ids = await Promise.all(names.map((name) => idOf(pool, name)))
  await one.database.query('begin')
  await one.database.query('select from message_states where message_id = $1 for no key update', [ids[0]])
  const storing = store(
    other.database,
    names.toReversed().map((name, at) => record(at, name)),
  )
  await waitsFor(pool, other, one, storing)
  await one.database.query('select from message_states where message_id = $1 for no key update nowait', [
    ids[1],
  ])
  await one.database.query('commit')
  t.strictSame((await storing).results, ['duplicate', 'duplicate'])
})

t.test('two instances take turns on a partition, and the second skips what the first stored', async (t) => {
  const records = [record(0, newName()), record(1, newName())]
  // The row is there, so that both meet on it.
  await store(pool, [record(0, newName())], { partition: 820 })
  const moved = records.map((each) => ({ ...each, offset: each.offset + 1n }))
  await one.database.query('begin')
  const first = await store(one.database, moved, { partition: 820 })
  const second = store(other.database, moved, { partition: 820 })
  await waitsFor(pool, other, one, second)
  await one.database.query('commit')
  t.strictSame(first.results, ['received', 'received'])
  t.strictSame(await second, {
    kind: 'stored',
    nextOffset: 3n,
    results: ['skipped', 'skipped'],
    claims: [],
  })
})

t.test('two instances that are the first on a partition store each record once', async (t) => {
  const records = [record(0, newName())]
  await one.database.query('begin')
  const first = await store(one.database, records, { partition: 821 })
  const second = store(other.database, records, { partition: 821 })
  await waitsFor(pool, other, one, second)
  await one.database.query('commit')
  t.strictSame([first.results, (await second).results], [['received'], ['skipped']])
})

t.test('a duplicate that arrives during an attempt does not fence its outcome', async (t) => {
  const name = newName()
  const { claims } = await store(pool, [record(0, name)], { room: 1 })
  const { messageId } = claims[0]!
  await store(pool, [record(0, name)])
  await store(pool, [record(0, name, { bytes: 'other' })])
  t.match(await stateOf(pool, messageId), {
    status: 'processing',
    version: 4,
    attempts: 1,
    claimed_by: fresh,
  })
  t.equal(await settleOne(pool, fresh, messageId, 1, accepted), 'appended')
  t.match(await stateOf(pool, messageId), { status: 'success', version: 5 })
})

t.test('an outcome that waits for a duplicate is appended after it', async (t) => {
  const name = newName()
  const { claims } = await store(pool, [record(0, name)], { room: 1 })
  const { messageId } = claims[0]!
  await one.database.query('begin')
  await store(one.database, [record(0, name)])
  const settled = settleOne(other.database, fresh, messageId, 1, accepted)
  await waitsFor(pool, other, one, settled)
  await one.database.query('commit')
  t.equal(await settled, 'appended')
  t.strictSame(await typesOf(pool, messageId), [
    'received',
    'attempt_started',
    'duplicate_received',
    'succeeded',
  ])
})

t.test('a duplicate that waits for an outcome is appended after it', async (t) => {
  const [messageId] = await openAttempts(pool, 1)
  const { transaction_id } = await stateOf(pool, messageId!)
  await one.database.query('begin')
  await settle(one.database, fresh, [settlement(messageId!, 1, accepted)])
  const storing = store(other.database, [record(0, transaction_id)])
  await waitsFor(pool, other, one, storing)
  await one.database.query('commit')
  t.strictSame((await storing).results, ['duplicate'])
  t.match(await stateOf(pool, messageId!), { status: 'success', version: 4, error_message: null })
})

t.test('a known id is a duplicate while its index is made anew beside a session that reads', async (t) => {
  const name = newName()
  await store(pool, [record(0, name)])
  await other.database.query('begin')
  await other.database.query('select from inbox limit 1')
  const made = one.database.query('reindex table concurrently inbox')
  // As long as anybody reads, the old index stays in force, under another name.
  await until('the old index to be renamed', async () => {
    const { rowCount } = await pool.query(`select from pg_class where relname = 'inbox_pkey_ccold'`)
    return rowCount === 1
  })
  const { results } = await store(pool, [record(0, newName()), record(1, name)])
  t.strictSame(results, ['received', 'duplicate'])
  await other.database.query('rollback')
  await made
})
