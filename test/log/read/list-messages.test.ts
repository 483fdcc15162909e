import fc from 'fast-check'
import t from 'tap'
import type pg from 'pg'
import type { MessageRow } from '../../../src/log/read/message-row.ts'
import { countMessages } from '../../../src/log/read/messages/count-messages.ts'
import type { MessageFilter, Range } from '../../../src/log/read/messages/filter.ts'
import { listMessages, type MessagesRequest } from '../../../src/log/read/messages/list-messages.ts'
import { messageOrders, type MessageOrder, type PageKey } from '../../../src/log/read/messages/order.ts'
import { readDetails, type MessageDetails } from '../../../src/log/read/read-details.ts'
import { readStatesAsOf } from '../../../src/log/read/read-states-as-of.ts'
import { decideMessage } from '../../../src/log/write/decide-message.ts'
import { deadLetterCauses, resolutions, statuses } from '../../../src/message/message.ts'
import { database } from '../../support/database.ts'
import {
  accepted,
  deadLetter,
  exhausted,
  fresh,
  idOf,
  record,
  refused,
  rejectedRecord,
  retry,
  settleOne,
  startAttempt,
  store,
  topic,
  unavailable,
  unknown,
} from '../support.ts'

type Known = MessageRow & MessageDetails

/** Messages of every status, cause and number of retries, whose last events are in another order than their first. */
async function storeMixed(pool: pg.Pool): Promise<void> {
  const ids = Array.from({ length: 60 }, (_, at) => `${['tx-', 'pre%', 'pre_', 'präfix'][at % 4]!}${at}`)
  for (const [part, from] of [0, 20, 40].entries()) {
    const records = ids.slice(from, from + 20).map((id, at) => record(at, id))
    await store(pool, records, { partition: 100 + part, room: 15 })
  }
  await store(pool, [rejectedRecord(20, 'nonsense', 100), record(21, ids[0]!, { bytes: 'other' })], {
    partition: 100,
  })
  const open = await Promise.all(ids.map((id) => idOf(pool, id)))
  for (const at of [7, 3, 44, 21, 5, 50, 13, 30, 29, 2, 41, 9, 25, 51, 14, 27, 8, 46, 1, 32]) {
    const messageId = open[at]!
    const kind = at % 5
    const reference = { text: `pay-${at % 4}` }
    if (kind === 0) await settleOne(pool, fresh, messageId, 1, { ...accepted, reference })
    if (kind === 1) await settleOne(pool, fresh, messageId, 1, refused, deadLetter)
    if (kind === 2)
      await settleOne(pool, fresh, messageId, 1, unavailable, { then: 'retry', delayMs: at * 1_000 })
    if (kind === 3) await settleOne(pool, fresh, messageId, 1, unknown)
    if (kind === 4) {
      await settleOne(pool, fresh, messageId, 1, { ...unavailable, reference })
      await startAttempt(pool, messageId, retry)
      await settleOne(pool, retry, messageId, 2, unknown, at > 20 ? exhausted : undefined)
    }
  }
  await pool.query(`select replay_messages(array[$1], 'alice', 'again', null)`, [ids[1]])
  const decide = async (kind: 'hold' | 'release' | 'cancel', ...at: number[]) => {
    for (const each of at) {
      const answer = await decideMessage(pool, {
        transactionId: ids[each]!,
        decision: { kind },
        actor: 'alice',
        reason: 'why',
      })
      if (answer.kind !== 'decided') throw new Error(`${kind} of ${each}: ${answer.kind}`)
    }
  }
  // Pending and failed ones.
  await decide('hold', 16, 17, 18, 7, 2)
  await decide('release', 18)
  await decide('cancel', 17, 27)
  const letters = [ids[17]!, ids[21]!, ids[51]!, ids[41]!, 'record:incoming:100:20']
  for (const [at, transactionId] of letters.entries()) {
    const decision = { kind: 'resolve' as const, as: resolutions[at % 3]!, evidence: null }
    const answer = await decideMessage(pool, { transactionId, decision, actor: 'alice', reason: 'why' })
    if (answer.kind !== 'decided') throw new Error(`resolve ${transactionId}: ${answer.kind}`)
  }
}

async function readAll(pool: pg.Pool): Promise<Known[]> {
  const { found } = await listMessages(pool, request({}))
  const details = await readDetails(
    pool,
    found.map(({ message }) => message.messageId),
  )
  const byId = new Map(details.map((each) => [each.messageId, each]))
  return found.map(({ message }) => ({ ...byId.get(message.messageId)!, ...message }))
}

function request(changes: Partial<MessagesRequest>): MessagesRequest {
  return {
    filter: {},
    order: 'CREATED_ASC',
    after: null,
    before: null,
    backwards: false,
    rowsMax: 1_000,
    examinedMax: 10_000,
    smallMax: 10_000,
    ...changes,
  }
}

function keeps(filter: MessageFilter, order: MessageOrder, known: Known): boolean {
  const isWaiting = known.status === 'pending' || known.status === 'failed'
  const isDead = known.status === 'dead_letter'
  const oneOf = <Value>(list: readonly Value[] | undefined, value: Value | null) =>
    list === undefined || (value !== null && list.includes(value))
  const isIn = (range: Range | undefined, at: string | null) =>
    range === undefined || (at !== null && at >= (range.from ?? '') && at < (range.to ?? '~'))
  return (
    (order !== 'DUE_ASC' || (isWaiting && !known.held)) &&
    oneOf(filter.statuses, known.status) &&
    oneOf(filter.transactionIds, known.transactionId as string) &&
    known.transactionId.startsWith(filter.transactionIdPrefix ?? '') &&
    (filter.reference === undefined || known.reference === filter.reference) &&
    oneOf(filter.topic === undefined ? undefined : [filter.topic], known.source?.topic ?? null) &&
    oneOf(filter.partition === undefined ? undefined : [filter.partition], known.source?.partition ?? null) &&
    (filter.errorContains === undefined ||
      known.errorMessage?.toLowerCase().includes(filter.errorContains.toLowerCase()) === true) &&
    (filter.failurePattern === undefined || known.failurePattern === filter.failurePattern) &&
    oneOf(filter.lastStatusCodes, known.lastStatusCode) &&
    oneOf(filter.deadLetterCauses, isDead ? known.deadLetterCause : null) &&
    (filter.outcomeUnknown === undefined || known.outcomeUnknown === filter.outcomeUnknown) &&
    (filter.held === undefined || known.held === filter.held) &&
    (filter.resolved === undefined || (isDead && (known.resolution !== null) === filter.resolved)) &&
    oneOf(filter.resolutions, known.resolution) &&
    isIn(filter.createdAt, known.createdAt) &&
    isIn(filter.updatedAt, known.updatedAt) &&
    isIn(filter.dueAt, isWaiting ? known.nextDueAt : null) &&
    isIn(filter.deadLetteredAt, isDead ? known.deadLetteredAt : null) &&
    known.retryCount >= (filter.retryCountMin ?? 0) &&
    known.retryCount <= (filter.retryCountMax ?? 99)
  )
}

function sort(order: MessageOrder, all: readonly Known[]): Known[] {
  const keyOf = ({ createdAt, nextDueAt, position }: Known) =>
    order === 'DUE_ASC' ? nextDueAt! : order.startsWith('CREATED') ? createdAt : position.padStart(20, '0')
  const sorted = [...all].sort(
    (a, b) =>
      (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0) || Number(a.messageId) - Number(b.messageId),
  )
  return order.endsWith('DESC') ? sorted.reverse() : sorted
}

/** All pages of a list, one after the other. */
async function page(pool: pg.Pool, asked: MessagesRequest): Promise<string[]> {
  const ids: string[] = []
  let from: PageKey | null = null
  while (true) {
    const { found, stoppedAt } = await listMessages(pool, {
      ...asked,
      ...(asked.backwards ? { before: from } : { after: from }),
    })
    ids.push(...found.map(({ message }) => message.messageId))
    from = found.length === asked.rowsMax ? found.at(-1)!.place : stoppedAt
    if (from === null) return ids
  }
}

function filters(all: readonly Known[]): fc.Arbitrary<MessageFilter> {
  const some = <Value>(values: readonly Value[]) =>
    fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })
  const range = (times: (string | null)[]) =>
    fc
      .tuple(fc.constantFrom(undefined, ...times), fc.constantFrom(undefined, ...times))
      .map(([from, to]): Range | undefined =>
        from == null && to == null ? undefined : { from: from ?? undefined, to: to ?? undefined },
      )
  return fc.record(
    {
      statuses: some(statuses),
      transactionIds: some([...all.map((each) => each.transactionId as string), 'nobody']),
      transactionIdPrefix: fc.constantFrom(
        'tx-',
        'pre%',
        'pre_',
        'pr',
        'prä',
        'record:',
        'none',
        '\u{10ffff}',
      ),
      reference: fc.constantFrom('pay-0', 'pay-1', 'pay-2', 'pay-9'),
      topic: fc.constantFrom(topic, 'other'),
      partition: fc.constantFrom(100, 101, 7),
      errorContains: fc.constantFrom('http', '503', 'TIMEOUT', '%', '_'),
      failurePattern: fc.constantFrom('HTTP 503', 'HTTP 400', 'timeout, sent, no answer'),
      lastStatusCodes: some([200, 400, 503]),
      deadLetterCauses: some(deadLetterCauses),
      outcomeUnknown: fc.boolean(),
      held: fc.boolean(),
      resolved: fc.boolean(),
      resolutions: some(resolutions),
      createdAt: range(all.map((each) => each.createdAt)),
      updatedAt: range(all.map((each) => each.updatedAt)),
      dueAt: range(all.map((each) => each.nextDueAt)),
      deadLetteredAt: range(all.map((each) => each.deadLetteredAt)),
      retryCountMin: fc.constantFrom(0, 1, 2),
      retryCountMax: fc.constantFrom(0, 1, 2),
    },
    { requiredKeys: [] },
  )
}

t.test(
  'paging any filter in any order, either way and by either road, sees each message once and in order',
  async (t) => {
    const { pool } = await database(t)
    await storeMixed(pool)
    const all = await readAll(pool)
    t.equal(all.length, 62)
    // Most filters of many conditions keep nothing, so that fewer conditions are tried more often.
    const few = filters(all).map(
      (filter) => Object.fromEntries(Object.entries(filter).slice(0, 2)) as MessageFilter,
    )
    await fc.assert(
      fc.asyncProperty(
        fc.oneof({ arbitrary: few, weight: 3 }, { arbitrary: filters(all), weight: 1 }),
        fc.constantFrom(...messageOrders),
        fc.boolean(),
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom(0, 10_000),
        fc.integer({ min: 1, max: 60 }),
        async (filter, order, backwards, rowsMax, smallMax, examinedMax) => {
          const expected = sort(
            order,
            all.filter((each) => keeps(filter, order, each)),
          ).map((each) => each.messageId)
          const paged = await page(
            pool,
            request({ filter, order, backwards, rowsMax, smallMax, examinedMax }),
          )
          t.strictSame(
            backwards ? paged.reverse() : paged,
            expected,
            JSON.stringify({ filter, order, backwards }),
          )
          const count = await countMessages(pool, filter, order, smallMax)
          if (smallMax > 0) t.strictSame(count, { value: String(expected.length), exact: true })
        },
      ),
      { numRuns: 250 },
    )
    const now = await readStatesAsOf(
      pool,
      all.map((each) => each.messageId),
      '9999-01-01T00:00:00.000000Z',
    )
    t.equal(now.length, all.length)
    for (const state of now) {
      const known = all.find((each) => each.messageId === state.messageId)
      t.match(known, state, 'as of the end')
    }
    for (const order of messageOrders) {
      const paged = await page(pool, request({ order, rowsMax: 7 }))
      t.strictSame(
        paged,
        sort(
          order,
          all.filter((each) => keeps({}, order, each)),
        ).map((each) => each.messageId),
        order,
      )
    }
  },
)

t.test('on a large table each list reads few pages, with and without statistics', async (t) => {
  const { pool } = await database(t)
  await storeLarge(pool, 120_000)
  const lists: MessageFilter[] = [
    {},
    { statuses: ['dead_letter'] },
    { statuses: ['failed', 'dead_letter'] },
    { statuses: ['success'] },
    { outcomeUnknown: true },
    { reference: 'pay-1' },
    { transactionIdPrefix: 'tx-11900' },
    { transactionIds: ['tx-5', 'tx-119999'] },
    { createdAt: { from: '2024-01-01T10:00:00Z', to: '2024-01-01T10:10:00Z' } },
  ]
  for (const analysed of [false, true]) {
    if (analysed) await pool.query('analyze')
    for (const order of messageOrders) {
      for (const filter of lists) {
        const asked = request({ filter, order, rowsMax: 21, examinedMax: 300, smallMax: 700 })
        const pages = await countPages(pool, (client) => listMessages(client, asked))
        // The tables have thousands of pages each.
        t.ok(pages < 1_600, `${JSON.stringify(filter)} ${order}, analysed ${analysed}: ${pages} pages`)
      }
    }
  }
})

t.test('beyond a bound a count is an estimate that says so, and reads few pages too', async (t) => {
  const { pool } = await database(t)
  await storeLarge(pool, 120_000)
  await pool.query('analyze')
  const hours = { from: '2024-01-01T10:00:00Z', to: '2024-01-01T13:00:00Z' }
  const lists: [MessageFilter, number, boolean][] = [
    [{}, 120_000, true],
    [{ statuses: ['success', 'failed'] }, 118_800, true],
    [{ outcomeUnknown: true }, 240, true],
    [{ transactionIdPrefix: 'tx-11900' }, 11, true],
    [{ retryCountMax: 0 }, 120_000, false],
    [{ retryCountMin: 1 }, 0, false],
    [{ transactionIdPrefix: 'tx-1' }, 31_111, false],
    [{ transactionIdPrefix: 'tx-1', statuses: ['success'] }, 30_489, false],
    [{ outcomeUnknown: false, statuses: ['success'] }, 117_600, false],
    [{ createdAt: hours }, 10_800, false],
    [{ createdAt: hours, statuses: ['success'] }, 10_584, false],
  ]
  for (const [filter, count, exact] of lists) {
    let answer: Awaited<ReturnType<typeof countMessages>> | undefined
    const pages = await countPages(pool, async (client) => {
      answer = await countMessages(client, filter, 'CREATED_DESC', 700)
    })
    t.equal(answer?.exact, exact, JSON.stringify(filter))
    const difference = Math.abs(Number(answer?.value) - count)
    t.ok(
      exact ? difference === 0 : difference <= count * 0.1,
      `${JSON.stringify(filter)}: ${answer?.value ?? ''}`,
    )
    // A sample by prefix looks up each message by its key.
    t.ok(pages < 5_000, `${JSON.stringify(filter)}: ${pages} pages`)
  }
})

t.test(
  'between which ids a range of creation lies is found once for a page, and once for a total',
  async (t) => {
    const { pool } = await database(t)
    await storeLarge(pool, 2_000)
    const client = await pool.connect()
    await client.query(`set track_functions = 'pl'`)
    const readCalls = async (): Promise<number> => {
      const { rows } = await client.query<{ calls: string | null }>(
        `select pg_stat_get_xact_function_calls('created_between(timestamptz, timestamptz)'::regprocedure) as calls`,
      )
      return Number(rows[0]!.calls ?? 0)
    }
    // In one transaction, because the numbers begin anew when statistics are sent, which is between transactions.
    const countCalls = async (act: () => Promise<unknown>): Promise<number> => {
      await client.query('begin')
      const before = await readCalls()
      await act()
      const calls = (await readCalls()) - before
      await client.query('rollback')
      return calls
    }
    const createdAt = { from: '2024-01-01T00:10:00Z', to: '2024-01-01T00:30:00Z' }
    const sizes = { rowsMax: 20, examinedMax: 1_000, after: null, before: null, backwards: false }
    for (const filter of [{ createdAt }, { createdAt, retryCountMin: 0 }] satisfies MessageFilter[]) {
      // The range is a small set, or it is none.
      for (const smallMax of [1_500, 100]) {
        const name = JSON.stringify({ ...filter, smallMax })
        const asked = { ...sizes, filter, order: 'CREATED_ASC', smallMax } as const
        t.equal(await countCalls(() => listMessages(client as never, asked)), 1, name)
        t.equal(
          await countCalls(() => countMessages(client as never, filter, 'CREATED_ASC', smallMax)),
          1,
          name,
        )
      }
    }
    const none = { createdAt: { from: '2023-01-01T00:00:00Z', to: '2023-02-01T00:00:00Z' } }
    const { found } = await listMessages(pool, {
      ...sizes,
      filter: none,
      order: 'CREATED_ASC',
      smallMax: 100,
    })
    t.strictSame(found, [])
    t.strictSame(await countMessages(pool, none, 'CREATED_ASC', 100), { value: '0', exact: true })
    client.release()
  },
)

/** Messages stored a second apart, of which one in a hundred is a dead letter and one in a hundred waits for a retry. */
async function storeLarge(pool: pg.Pool, count: number): Promise<void> {
  for (const table of ['message_events', 'message_states'])
    await pool.query(`alter table ${table} disable trigger user`)
  await pool.query(
    `insert into message_states (message_id, transaction_id, version, status, retry_count, attempts, due_at, outcome_unknown,
       position, created_at, updated_at, recorded_at)
     select n, 'tx-' || n, 3, case n % 100 when 0 then 'dead_letter' when 1 then 'failed' else 'success' end, 0, 1,
       case when n % 100 = 1 then at end, n % 500 = 0, n / 250 + 3, at, at, at
     from generate_series(1, $1::int) n cross join lateral (select '2024-01-01'::timestamptz + n * interval '1 second' as at) t`,
    [count],
  )
  await pool.query(
    `insert into event_positions (position, message_ids)
     select n / 250 + 3, array_agg(n) from generate_series(1, $1::int) n group by 1`,
    [count],
  )
  await pool.query(`insert into partitions (topic, partition) values ('large', 0)`)
  await pool.query(
    `insert into partition_advances (partition_id, first_offset, next_offset, received, duplicates, conflicts, rejected, holes,
       first_message_id, last_message_id, recorded_at, actor)
     select p.partition_id, n, n + 1, 1, 0, 0, 0, 0, n, n, '2024-01-01'::timestamptz + n * interval '1 second', 'a'
     from generate_series(1, $1::int) n cross join partitions p where p.topic = 'large'`,
    [count],
  )
  await pool.query(`insert into inbox select 'tx-' || n, n, '' from generate_series(1, $1::int) n`, [count])
  await pool.query(
    `insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count)
     select n, v, n / 250 + 3, clock_timestamp(), 'received', 'a', 'pending', 0
     from generate_series(1, $1::int) n cross join generate_series(1, 3) v`,
    [count],
  )
  await pool.query(
    `insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets, counts)
     values (3, 0, 0, $1, $2, $2, '{-infinity}', '{unknown_dead_letter}', '{0}', array[$3::bigint])`,
    [(count * 98) / 100, count / 100, count / 500],
  )
}

/** The pages that the statements of a reader touch: each is explained with the values it had. */
async function countPages(
  pool: pg.Pool,
  read: (client: Pick<pg.Pool, 'query'>) => Promise<unknown>,
): Promise<number> {
  const asked: { text: string; values: unknown[] }[] = []
  const query = (statement: string | { text: string; values?: unknown[] }, values: unknown[] = []) => {
    const asks = typeof statement === 'string' ? { text: statement, values } : { values, ...statement }
    if (!asks.text.startsWith('explain')) asked.push({ text: asks.text, values: asks.values })
    return pool.query(asks.text, asks.values)
  }
  await read({ query } as unknown as Pick<pg.Pool, 'query'>)
  let pages = 0
  for (const { text, values } of asked) {
    const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
      `explain (analyze, buffers, format json) ${text}`,
      values,
    )
    const plan = rows[0]!['QUERY PLAN'][0].Plan
    pages += plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!
  }
  return pages
}
