import t from 'tap'
import type pg from 'pg'
import { compareCursors, type LogCursor } from '../../../src/log/read/log-cursor.ts'
import type { LogEvent } from '../../../src/log/read/log-event.ts'
import { readEvents, type EventsRequest } from '../../../src/log/read/read-events.ts'
import { readHead } from '../../../src/log/read/read-head.ts'
import { database } from '../../support/database.ts'
import { headPasses } from '../../support/head-passes.ts'
import { until } from '../../support/until.ts'
import {
  accepted,
  fresh,
  idOf,
  newName,
  openAttempt,
  openAttempts,
  record,
  refused,
  deadLetter,
  session,
  settleOne,
  store,
  waitsFor,
} from '../support.ts'

async function read(pool: pg.Pool, request: Partial<EventsRequest> = {}) {
  await headPasses(pool)
  const answer = await readEvents(pool, { rowsMax: 1_000, examinedMax: 1_000, ...request })
  if (answer.kind !== 'read') throw new Error(answer.reason)
  return answer
}

function name({ messageId, version }: LogEvent): string {
  return `${messageId}/${version}`
}

/** Reads on and on from where the last read stopped, as a tail does. */
class Tail {
  cursor: LogCursor | null = null
  readonly seen: LogEvent[] = []
  readonly #pool: pg.Pool

  constructor(pool: pg.Pool) {
    this.#pool = pool
  }

  async read(rowsMax = 1_000): Promise<string[]> {
    const answer = await readEvents(this.#pool, { after: this.cursor, rowsMax, examinedMax: 1_000 })
    if (answer.kind !== 'read') throw new Error(answer.reason)
    const { events, stoppedAt } = answer
    this.cursor = stoppedAt
    this.seen.push(...events)
    return events.map(name)
  }

  /** Reads until so many more were seen. */
  async take(count: number): Promise<string[]> {
    const taken: string[] = []
    await until(`${count} events`, async () => {
      taken.push(...(await this.read()))
      return taken.length >= count
    })
    return taken
  }
}

t.test('an event has all that the log knows of it, and never the end of a lease', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, refused, deadLetter)
  const { events, caughtUp } = await read(pool)
  t.equal(caughtUp, true)
  t.match(events, [
    {
      version: 1,
      type: 'received',
      status: 'pending',
      lane: null,
      source: { topic: 'incoming', offset: '0' },
    },
    {
      version: 2,
      type: 'attempt_started',
      status: 'processing',
      lane: 'fresh',
      attempt: 1,
      nextDueAt: null,
      source: null,
    },
    { version: 3, type: 'attempt_failed', outcome: 'refused', statusCode: 400, durationMs: 12, actor: fresh },
    { version: 4, type: 'dead_lettered', status: 'dead_letter', reason: 'refused', nextDueAt: null },
  ])
  for (const event of events) {
    t.match(event, {
      messageId,
      transactionId: /^tx-/,
      recordedAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/,
    })
  }
  t.match(events[0]!.nextDueAt, /Z$/)
})

t.test('of writers that commit out of order none is missed, and none is seen twice', async (t) => {
  const { pool, url } = await database(t)
  const [first, second, third] = [await session(t, url), await session(t, url), await session(t, url)]
  const tail = new Tail(pool)
  for (const each of [first, second, third]) await each.database.query('begin')
  const names = [newName(), newName(), newName()]
  // Positions are taken in this order, and committed in another.
  for (const [at, each] of [first, second, third].entries())
    await store(each.database, [record(0, names[at]!)])
  await third.database.query('commit')
  t.strictSame(await tail.read(), [], 'what lies above an open transaction waits')
  await first.database.query('commit')
  const [a, b, c] = await Promise.all([idOf(pool, names[0]!), Promise.resolve('x'), idOf(pool, names[2]!)])
  t.equal(b, 'x')
  t.strictSame(await tail.take(1), [`${a}/1`], 'only what lies below the one that is still open')
  await second.database.query('commit')
  t.strictSame(await tail.take(2), [`${await idOf(pool, names[1]!)}/1`, `${c}/1`])
  t.strictSame(await tail.read(), [])
})

t.test('a foreign transaction that writes holds events back, and its end lets them all go', async (t) => {
  const { pool, url } = await database(t)
  const foreign = await session(t, url)
  const tail = new Tail(pool)
  await tail.read()
  await foreign.database.query('begin')
  await foreign.database.query('create table foreign_work ()')
  const ids = await openAttempts(pool, 3)
  t.strictSame(await tail.read(), [])
  await until('the head to be held by it', async () => (await readHead(pool)).heldByPid === foreign.pid)
  t.ok((await readHead(pool)).ageSeconds > 0)
  await foreign.database.query('rollback')
  t.strictSame(
    await tail.take(6),
    ids.flatMap((id) => [`${id}/1`, `${id}/2`]),
  )
  await until('the head to be free', async () => (await readHead(pool)).ageSeconds === 0)
})

t.test(
  'a writer that took its position early and waits for a message comes after what it waited for',
  async (t) => {
    const { pool, url } = await database(t)
    const messageId = await openAttempt(pool)
    const [early, late] = [await session(t, url), await session(t, url)]
    await early.database.query('begin')
    const { rows } = await early.database.query<{ position: string }>('select current_position() as position')
    await late.database.query('begin')
    t.equal(
      await settleOne(late.database, fresh, messageId, 1, { kind: 'not_sent', reason: 'refused' }),
      'appended',
    )
    const waiting = store(early.database, [record(1, await transactionIdOf(pool, messageId))])
    await waitsFor(pool, early, late, waiting)
    await late.database.query('commit')
    await waiting
    await early.database.query('commit')
    const { events } = await read(pool)
    t.strictSame(
      events.map((event) => event.version),
      [1, 2, 3, 4],
    )
    t.equal(events[3]!.type, 'duplicate_received')
    t.equal(events[3]!.cursor.position, events[2]!.cursor.position, 'at the position it waited for')
    t.not(events[3]!.cursor.position, rows[0]!.position, 'which is above its own')
  },
)

async function transactionIdOf(pool: pg.Pool, messageId: string): Promise<string> {
  const { rows } = await pool.query<{ transaction_id: string }>(
    'select transaction_id from messages where message_id = $1',
    [messageId],
  )
  return rows[0]!.transaction_id
}

t.test('pages of any size, forwards and backwards, come to the same', async (t) => {
  const { pool } = await database(t)
  await openAttempts(pool, 20)
  const { events } = await read(pool)
  t.equal(events.length, 40)
  for (const rowsMax of [1, 7, 39, 40]) {
    const tail = new Tail(pool)
    while ((await tail.read(rowsMax)).length > 0);
    t.strictSame(tail.seen.map(name), events.map(name))
    const back: LogEvent[] = []
    for (let before: LogCursor | null = null, caughtUp = false; !caughtUp;) {
      const page: Awaited<ReturnType<typeof read>> = await read(pool, { before, rowsMax, backwards: true })
      back.push(...page.events)
      before = page.stoppedAt
      caughtUp = page.caughtUp
    }
    t.strictSame(back.reverse().map(name), events.map(name))
  }
})

t.test('a sparse filter stops where it has looked at enough, and goes on from there', async (t) => {
  const { pool } = await database(t)
  const ids = await openAttempts(pool, 30)
  await settleOne(pool, fresh, ids[29]!, 1, accepted)
  const filter = { types: ['succeeded'] } as const
  const first = await read(pool, { filter, examinedMax: 40 })
  t.match(first, { events: [], caughtUp: false, stoppedAt: { messageId: ids[19], version: 2 } })
  const second = await read(pool, { filter, examinedMax: 40, after: first.stoppedAt })
  t.match(second, { events: [{ type: 'succeeded', messageId: ids[29] }], caughtUp: true })
  const back = await read(pool, {
    filter: { types: ['received'] },
    examinedMax: 2,
    backwards: true,
    rowsMax: 5,
  })
  t.match(back, { events: [], caughtUp: false, stoppedAt: { messageId: ids[29], version: 2 } })
})

t.test('each condition of the filter is one', async (t) => {
  const { pool } = await database(t)
  const names = [newName(), newName()]
  const { claims } = await store(
    pool,
    names.map((id, at) => record(at, id)),
    { room: 2 },
  )
  await settleOne(pool, fresh, claims[0]!.messageId, 1, accepted)
  await settleOne(pool, fresh, claims[1]!.messageId, 1, refused, deadLetter)
  const all = (await read(pool)).events
  const expect = async (filter: EventsRequest['filter'] & object, keep: (event: LogEvent) => boolean) => {
    const { events } = await read(pool, { filter })
    t.strictSame(events.map(name), all.filter(keep).map(name), JSON.stringify(filter))
    const back = await read(pool, { filter, backwards: true })
    t.strictSame(back.events.map(name), all.filter(keep).map(name).reverse(), JSON.stringify(filter))
  }
  await expect(
    { types: ['received', 'succeeded'] },
    ({ type }) => type === 'received' || type === 'succeeded',
  )
  await expect({ outcomes: ['refused'] }, ({ outcome }) => outcome === 'refused')
  await expect({ actor: fresh }, ({ actor }) => actor === fresh)
  await expect({ transactionIds: [names[1]!, 'nobody'] }, ({ transactionId }) => transactionId === names[1])
  await expect({ transactionIds: names, types: ['received'] }, ({ type }) => type === 'received')
  const at = all[3]!.recordedAt
  await expect({ recordedFrom: at }, ({ recordedAt }) => recordedAt >= at)
  await expect({ recordedTo: at }, ({ recordedAt }) => recordedAt < at)
})

t.test('a cursor of a log that was replaced is told from one that nobody handed out', async (t) => {
  const { pool } = await database(t)
  await openAttempts(pool, 2)
  await headPasses(pool)
  const head = await readHead(pool)
  t.match(await readEvents(pool, { after: head.cursor, rowsMax: 1, examinedMax: 1 }), {
    kind: 'read',
    events: [],
  })
  const above = { ...head.cursor, position: String(BigInt(head.cursor.position) + 1_000_000n) }
  t.strictSame(await readEvents(pool, { after: above, rowsMax: 1, examinedMax: 1 }), {
    kind: 'refused',
    reason: 'above',
  })
  const { events } = await read(pool)
  const [first, second] = [events[0]!.cursor, events[1]!.cursor]
  // As after a restore of a copy that was taken before the head: xids go on below, and positions above.
  await pool.query(
    `insert into log_epochs (epoch, base, actor, reason) values (2, $1, 'alice', 'restored from a copy')`,
    [second.position],
  )
  await openAttempts(pool, 1)
  t.match(await readEvents(pool, { after: head.cursor, rowsMax: 1, examinedMax: 1 }), { reason: 'epoch' })
  t.match(await readEvents(pool, { before: { ...first, epoch: 2 }, rowsMax: 1, examinedMax: 1 }), {
    reason: 'epoch',
  })
  const rest = await read(pool, { after: first })
  t.equal(rest.events.length, 5, 'a cursor from before the copy goes on')
  t.strictSame(
    rest.events.map(({ cursor }) => cursor.epoch),
    [1, 1, 1, 2, 2],
  )
  t.strictSame(
    [...rest.events].sort((a, b) => compareCursors(a.cursor, b.cursor)).map(name),
    rest.events.map(name),
  )
  t.equal(rest.stoppedAt.epoch, 2)
})

t.test('on a large log a read touches few pages, with and without statistics', async (t) => {
  const { pool } = await database(t)
  await pool.query('alter table message_events disable trigger project')
  await pool.query(`insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count)
    select m, v, 3 + m / 250, clock_timestamp(), 'received', 'a', 'pending', 0
    from generate_series(1, 60000) m cross join generate_series(1, 3) v`)
  await pool.query(`insert into inbox select 'tx-' || m, m, '' from generate_series(1, 60000) m`)
  const from = '100, 0, 0, 9223372036854775807, 0, 0'
  const filter = 'null, null, null, null, null'
  for (const analysed of [false, true]) {
    if (analysed) await pool.query('analyze')
    for (const backwards of [false, true]) {
      for (const call of [
        `read_log(${from}, ${backwards}, 50000, 100, ${filter})`,
        `read_log_of('{tx-5,tx-70,tx-50000}', ${from}, ${backwards}, 100, ${filter})`,
      ]) {
        // Once to plan and warm up.
        await pool.query(`select * from ${call}`)
        const pages = await countPages(pool, `select * from ${call}`)
        t.ok(pages < 150, `${call}, analysed ${analysed}: ${pages} pages`)
      }
    }
  }
})

async function countPages(pool: pg.Pool, text: string): Promise<number> {
  const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
    `explain (analyze, buffers, format json) ${text}`,
  )
  const plan = rows[0]!['QUERY PLAN'][0].Plan
  return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!
}

t.test(
  'where the log ends is told by its events and not by xids that a crash may give out again',
  async (t) => {
    const { pool } = await database(t)
    const empty = (await readHead(pool)).cursor
    await openAttempt(pool)
    await headPasses(pool)
    const { cursor } = await readHead(pool)
    t.ok(compareCursors(cursor, empty) > 0)
    for (let round = 0; round < 3; round++) await pool.query('begin; select pg_current_xact_id(); rollback')
    t.same((await readHead(pool)).cursor, cursor, 'what was rolled back does not move it')
    t.same((await read(pool, { after: cursor })).stoppedAt, cursor)

    const later = await openAttempt(pool)
    t.same((await read(pool, { after: cursor })).events.map(name), [`${later}/1`, `${later}/2`])
    t.same((await read(pool, { after: empty })).events.length, 4)
  },
)
