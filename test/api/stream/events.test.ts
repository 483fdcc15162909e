import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { SubscriptionEnded } from '../../../src/api/stream/subscription-ended.ts'
import type { LogCursor } from '../../../src/log/read/log-cursor.ts'
import { logStart } from '../../../src/log/read/log-cursor.ts'
import { readLogEnd } from '../../../src/log/read/read-log-end.ts'
import { newName, openAttempts, record, session, store } from '../../log/support.ts'
import { database } from '../../support/database.ts'
import { headPasses } from '../../support/head-passes.ts'
import { until } from '../../support/until.ts'
import { flow, follow, nameOf, readNames, startStreams, take } from './support.ts'

t.test('a subscriber gets what is in the log, and then what comes, once and in order', async (t) => {
  const given = await database(t)
  const streams = await startStreams(t, given)
  await openAttempts(given.pool, 700)
  const stream = follow(streams, { after: logStart })
  const before = await take(stream, 1_400)
  t.equal(before.at(-1)?.caughtUp, true)
  t.equal(before[0]?.caughtUp, false, 'the first page is not the last')
  await openAttempts(given.pool, 2)
  const after = await take(stream, 4)
  t.strictSame(
    [...before, ...after].map(({ event }) => nameOf(event)).sort(),
    (await readNames(given.pool)).sort(),
  )
})

t.test('without a cursor it gets what comes from now on', async (t) => {
  const given = await database(t)
  const streams = await startStreams(t, given)
  await openAttempts(given.pool, 3)
  await headPasses(given.pool)
  const stream = follow(streams, { cursorsEveryMs: 60_000 })
  const [place] = await take(stream, 1)
  t.match(place, { event: null, caughtUp: true })
  const [messageId] = await openAttempts(given.pool, 1)
  const events = await take(stream, 2)
  t.strictSame(
    events.map(({ event }) => nameOf(event)),
    [`${messageId!}/1`, `${messageId!}/2`],
  )
})

t.test('a filter chooses the same events in the past and in what comes', async (t) => {
  const given = await database(t)
  const streams = await startStreams(t, given)
  await flow(t, given.url, 20)
  const filter = { types: ['succeeded'] as const, outcomes: ['accepted'] as const }
  const stream = follow(streams, { after: logStart, filter })
  const past = await take(stream, 20)
  await flow(t, given.url, 20)
  const live = await take(stream, 20)
  t.ok([...past, ...live].every(({ event }) => event?.type === 'succeeded'))
  t.equal(new Set([...past, ...live].map(({ event }) => nameOf(event))).size, 40)
})

t.test(
  'killed and resumed 50 times while writers commit out of order, it sees every event exactly once',
  async (t) => {
    const given = await database(t)
    const streams = await startStreams(t, given)
    const seen: string[] = []
    let cursor: LogCursor = await readLogEnd(given.pool)
    const messages = 2_000
    const writing = flow(t, given.url, messages)
    for (let life = 0; life < 50; life++) {
      const stream = follow(streams, { after: cursor })
      for (const { event, cursor: last } of await take(stream, Math.floor((messages * 3) / 60))) {
        seen.push(nameOf(event))
        cursor = last
      }
      await stream.return()
    }
    const stream = follow(streams, { after: cursor })
    for (const { event } of await take(stream, (await writing) - seen.length)) seen.push(nameOf(event))
    t.equal(new Set(seen).size, seen.length, 'nothing twice')
    t.strictSame([...seen].sort(), (await readNames(given.pool)).sort(), 'nothing missing')
    t.ok(isInVersionOrder(seen), 'in version order for each message')
  },
)

t.test(
  'many subscribers that come and go at their own times each see every event exactly once',
  async (t) => {
    const given = await database(t)
    const streams = await startStreams(t, given)
    const start = await readLogEnd(given.pool)
    const total = 400 * 3
    const writing = flow(t, given.url, 400)
    const all = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const seen: string[] = []
        let cursor = start
        while (seen.length < total) {
          const stream = follow(streams, { after: cursor })
          for (const { event, cursor: last } of await take(
            stream,
            Math.min(total - seen.length, 37 + 13 * at),
          )) {
            seen.push(nameOf(event))
            cursor = last
          }
          await stream.return()
        }
        return seen
      }),
    )
    await writing
    const names = (await readNames(given.pool)).sort()
    for (const seen of all) t.strictSame([...seen].sort(), names)
  },
)

t.test('a thousand subscribers each get every event from one reader', async (t) => {
  const given = await database(t)
  let statements = 0
  given.pool.on('acquire', () => (statements += 1))
  const streams = await startStreams(t, given)
  const all = Array.from({ length: 1_000 }, () => follow(streams, { after: logStart }))
  const first = all.map((stream) => take(stream, 2))
  await openAttempts(given.pool, 1)
  await Promise.all(first)
  const before = statements
  const next = all.map((stream) => take(stream, 20))
  await openAttempts(given.pool, 10)
  const seen = new Set(
    (await Promise.all(next)).map((taken) => taken.map(({ event }) => nameOf(event)).join()),
  )
  t.equal(seen.size, 1, 'the same events in the same order')
  t.ok(statements - before < 1_000, `they share a reader: ${statements - before} statements`)
})

t.test(
  'while a foreign transaction is open events wait, and come when it ends, although nothing NOTIFYs then',
  async (t) => {
    const given = await database(t)
    const streams = await startStreams(t, given)
    const foreign = await session(t, given.url)
    const stream = follow(streams, { cursorsEveryMs: 1_000 })
    await take(stream, 1)
    await foreign.database.query('begin')
    await foreign.database.query('create table of_somebody_else ()')
    await openAttempts(given.pool, 5)
    for (const { event } of await take(stream, 3))
      t.equal(event, null, 'only places, for as long as it is open')
    await foreign.database.query('rollback')
    const endedAt = performance.now()
    const names: string[] = []
    while (names.length < 10)
      for (const { event } of await take(stream, 1)) if (event) names.push(nameOf(event))
    t.comment(`came ${Math.round(performance.now() - endedAt)} ms after its end`)
    t.strictSame(names.sort(), (await readNames(given.pool)).sort())
  },
)

t.test(
  'a filtered subscriber is told how far it has got: at once, when it has caught up, and from time to time',
  async (t) => {
    const given = await database(t)
    const streams = await startStreams(t, given)
    await openAttempts(given.pool, 10)
    const stream = follow(streams, {
      after: logStart,
      filter: { types: ['replayed'] },
      cursorsEveryMs: 1_000,
    })
    const [first, second, third] = await take(stream, 3)
    t.match(first, { event: null, caughtUp: false, cursor: logStart })
    t.match(second, { event: null, caughtUp: true })
    t.match(third, { event: null, caughtUp: true })
    const again = follow(streams, { after: second!.cursor })
    const next = take(again, 1)
    await openAttempts(given.pool, 1)
    t.match(await next, [{ event: { version: 1 } }], 'that place is one to resume from')
  },
)

t.test('a cursor from above the end of the log, or of another log, is refused with the reason', async (t) => {
  const given = await database(t)
  const streams = await startStreams(t, given)
  const head = await readLogEnd(given.pool)
  const above = { ...head, position: String(BigInt(head.position) + 1_000n) }
  t.strictSame(await reasonOf(take(follow(streams, { after: above }), 1)), { kind: 'cursor', fault: 'above' })
  const elsewhere = { ...head, epoch: 7 }
  t.strictSame(await reasonOf(take(follow(streams, { after: elsewhere }), 1)), {
    kind: 'cursor',
    fault: 'epoch',
  })
})

t.test(
  'one who takes nothing is cut off and can resume by cursor, and the others get everything',
  async (t) => {
    const given = await database(t)
    const streams = await startStreams(t, given)
    const [slow, quick] = [
      follow(streams, { cursorsEveryMs: 60_000 }),
      follow(streams, { cursorsEveryMs: 60_000 }),
    ]
    const [place] = await take(slow, 1)
    await take(quick, 1)
    // The slow one asks for one event, and then for no more.
    const first = take(slow, 1)
    const messages = 2_500
    for (let stored = 0; stored < messages; stored += 500) await openAttempts(given.pool, 500)
    t.equal((await take(quick, messages * 2)).length, messages * 2)
    await first
    t.strictSame(await reasonOf(take(slow, messages * 2)), { kind: 'slow' })
    const resumed = await take(follow(streams, { after: place!.cursor }), messages * 2)
    t.equal(new Set(resumed.map(({ event }) => nameOf(event))).size, messages * 2)
  },
)

t.test('without subscribers the tail asks the database nothing', async (t) => {
  const given = await database(t)
  let statements = 0
  const counting = new Proxy(given.pool, {
    get: (pool, name) => {
      if (name === 'connect' || name === 'query') statements += 1
      const value: unknown = Reflect.get(pool, name)
      return typeof value === 'function' ? (value.bind(pool) as unknown) : value
    },
  })
  const streams = await startStreams(t, { url: given.url, pool: counting })
  await openAttempts(given.pool, 3)
  t.equal(statements, 0)
  const stream = follow(streams)
  const next = take(stream, 1)
  await until('the tail to look', () => statements > 1)
  await openAttempts(given.pool, 1)
  await next
  await stream.return()
  for (let turn = 0; turn < 50; turn++) await nextTurn()
  await until('the last look to end', () => given.pool.idleCount === given.pool.totalCount)
  const before = statements
  await store(given.pool, [record(0, newName())])
  await flow(t, given.url, 20)
  t.equal(statements, before)
})

/** Why it ends. */
async function reasonOf(ending: Promise<unknown>): Promise<unknown> {
  const error: unknown = await ending.then(
    () => null,
    (reason: unknown) => reason,
  )
  return error instanceof SubscriptionEnded ? error.reason : error
}

function isInVersionOrder(names: readonly string[]): boolean {
  const last = new Map<string, number>()
  return names.every((name) => {
    const [message = '', version = ''] = name.split('/')
    const before = last.get(message) ?? 0
    last.set(message, Number(version))
    return Number(version) === before + 1
  })
}

t.test('an archive cuts off whoever has not read what it took, and nobody else', async (t) => {
  const given = await database(t)
  const streams = await startStreams(t, given)
  const start = await readLogEnd(given.pool)
  const live = follow(streams, { after: start })
  const [archived] = await openAttempts(given.pool, 1)
  await openAttempts(given.pool, 1)
  const read = await take(live, 4)
  await headPasses(given.pool)
  await given.pool.query(
    `insert into segment_archives (segment, first_message_id, next_message_id, name, manifest_sha256, messages, events,
      success, dead_letter, received, duplicates, conflicts, rejected, highest_position, actor, reason)
    values (99, $1, $1::bigint + 1, 'segment', '', 0, 0, 0, 0, 0, 0, 0, 0, $2, 'alice', 'old')`,
    [archived, read[1]!.cursor.position],
  )
  const ids = await openAttempts(given.pool, 1)
  const names = [`${ids[0]!}/1`, `${ids[0]!}/2`]
  t.strictSame(
    (await take(live, 2)).map(({ event }) => nameOf(event)),
    names,
    'the tail goes on',
  )
  t.strictSame(
    (await take(follow(streams, { after: read.at(-1)!.cursor }), 2)).map(({ event }) => nameOf(event)),
    names,
    'so does who comes back with a cursor after it',
  )
  const refused = await take(follow(streams, { after: read[0]!.cursor }), 1).catch((error: unknown) => error)
  t.match(refused, { reason: { kind: 'cursor', fault: 'expired' } })
  const fromStart = follow(streams, { after: logStart })
  const begun = await take(fromStart, 1)
  await fromStart.return()
  const rest = await take(follow(streams, { after: begun[0]!.cursor }), 5)
  t.equal(rest.length, 5, 'who began after the archive resumes before its positions')
})
