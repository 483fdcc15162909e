import t from 'tap'
import { decodeLogCursor, encodeLogCursor } from '../../../src/api/graphql/cursor.ts'
import { database } from '../../support/database.ts'
import { headPasses } from '../../support/head-passes.ts'
import { until } from '../../support/until.ts'
import { fresh, openAttempts, session, settleOne, accepted } from '../../log/support.ts'
import { startService, type Service } from '../service.ts'
import { dataOf, refusalOf } from './graphql.ts'

type Page = {
  edges: { cursor: string; node: { id: string; type: string } }[]
  nodes: { id: string }[]
  pageInfo: {
    hasNextPage: boolean
    hasPreviousPage: boolean
    startCursor: string | null
    endCursor: string | null
  }
}

const query = `query ($filter: EventFilter, $first: Int, $after: String, $last: Int, $before: String) {
  events(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { id type transactionId version status } } nodes { id }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`

async function read(service: Service, variables: Record<string, unknown> = {}): Promise<Page> {
  return (await dataOf<{ events: Page }>(service, query, variables)).events
}

function ids({ edges }: Page): string[] {
  return edges.map(({ node }) => node.id)
}

t.test('the whole log is paged forwards and backwards, each event once and in order', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const messages = await openAttempts(pool, 60)
  await headPasses(pool)
  const all = messages.flatMap((id) => [`${id}:1`, `${id}:2`])
  const page = await read(service)
  t.strictSame(ids(page), all.slice(0, 100), '100 a page unless asked otherwise')
  t.strictSame(
    page.nodes.map(({ id }) => id),
    ids(page),
  )
  t.match(page.pageInfo, {
    hasNextPage: true,
    hasPreviousPage: false,
    startCursor: page.edges[0]!.cursor,
    endCursor: page.edges[99]!.cursor,
  })
  for (const rows of [1, 7, 119, 120, 500]) {
    const forwards: string[] = []
    for (let after: string | null = null, more = true; more;) {
      const page = await read(service, { first: rows, after })
      forwards.push(...ids(page))
      after = page.pageInfo.endCursor
      more = page.pageInfo.hasNextPage
    }
    t.strictSame(forwards, all, `${rows} a page`)
    const backwards: string[] = []
    for (let before: string | null = null, more = true; more;) {
      const page: Page = await read(service, { last: rows, before })
      backwards.unshift(...ids(page))
      before = page.pageInfo.startCursor
      more = page.pageInfo.hasPreviousPage
    }
    t.strictSame(backwards, all, `${rows} a page, from the end`)
  }
  const middle = page.edges.slice(10, 20)
  const between = await read(service, { after: middle[0]!.cursor, before: middle[9]!.cursor })
  t.strictSame(
    ids(between),
    middle.slice(1, 9).map(({ node }) => node.id),
  )
})

t.test('what is recorded after the head comes after its cursor, and nothing else does', async (t) => {
  const { pool, url } = await database(t)
  const service = await startService(t, pool)
  await openAttempts(pool, 2)
  await headPasses(pool)
  const headOf = async () =>
    (await dataOf<{ head: Record<string, unknown> }>(service, '{ head { cursor at ageSeconds heldByPid } }'))
      .head
  const head = await headOf()
  t.match(head, { at: /Z$/, ageSeconds: Number })
  const empty = await read(service, { after: head.cursor })
  t.strictSame([ids(empty), empty.pageInfo.hasNextPage], [[], false])
  const [messageId] = await openAttempts(pool, 1)
  await headPasses(pool)
  const later = await read(service, { after: head.cursor })
  t.strictSame(ids(later), [`${messageId!}:1`, `${messageId!}:2`])
  t.strictSame(ids(await read(service, { after: empty.pageInfo.endCursor })), ids(later))
  const foreign = await session(t, url)
  await foreign.database.query('begin')
  await foreign.database.query('select pg_current_xact_id()')
  await openAttempts(pool, 1)
  await until('the head to be held by it', async () => (await headOf()).heldByPid === foreign.pid)
  t.strictSame(ids(await read(service, { after: later.pageInfo.endCursor })), [], 'it waits')
  await foreign.database.query('rollback')
  await headPasses(pool)
  t.equal(ids(await read(service, { after: later.pageInfo.endCursor })).length, 2)
})

t.test('a filter is all of its conditions', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const messages = await openAttempts(pool, 3)
  await settleOne(pool, fresh, messages[1]!, 1, accepted)
  await headPasses(pool)
  const { edges } = await read(service)
  const transactionId = (edges[2]!.node as unknown as { transactionId: string }).transactionId
  t.strictSame(ids(await read(service, { filter: { types: ['SUCCEEDED'] } })), [`${messages[1]!}:3`])
  t.strictSame(ids(await read(service, { filter: { outcomes: ['ACCEPTED', 'UNKNOWN'] } })), [
    `${messages[1]!}:3`,
  ])
  t.strictSame(
    ids(await read(service, { filter: { transactionIds: [transactionId, 'a\0b'] } })),
    [1, 2, 3].map((version) => `${messages[1]!}:${version}`),
  )
  t.strictSame(ids(await read(service, { filter: { transactionIds: ['\0'] } })), [])
  t.strictSame(ids(await read(service, { filter: { actor: fresh, types: ['RECEIVED'] } })), [])
  t.equal(ids(await read(service, { filter: { recordedAt: { from: '2000-01-01T00:00:00Z' } } })).length, 7)
  t.equal(ids(await read(service, { filter: { recordedAt: { to: '2000-01-01T00:00:00Z' } } })).length, 0)
})

t.test('what is out of bounds or forged is refused with the fix', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await openAttempts(pool, 1)
  for (const variables of [
    { first: -1 },
    { first: 501 },
    { first: 1_000_000_000 },
    { last: -1 },
    { last: 501 },
  ]) {
    t.match(await refusalOf(service, query, variables), { code: 'BAD_USER_INPUT', message: /from 0 to 500/ })
  }
  t.match(await refusalOf(service, query, { first: 1, last: 1 }), { code: 'BAD_USER_INPUT' })
  const good = { epoch: 1, position: '5', messageId: '1', version: 1, archives: 0 }
  const forged = [
    '',
    'x',
    "' or 1=1 --",
    '\0',
    'ä',
    `${encodeLogCursor(good)}=`,
    encodeLogCursor(good).slice(1),
    Buffer.from('l1:1:-5:1:1').toString('base64url'),
    Buffer.from('l1:1:05:1:1').toString('base64url'),
    Buffer.from('l1:1:5:1:1:1').toString('base64url'),
    Buffer.from('l1:1:9223372036854775808:1:1').toString('base64url'),
    Buffer.from('l2:1:5:1:1').toString('base64url'),
    Buffer.from('l2:1:5:1:1:01').toString('base64url'),
    Buffer.from('l2:1:5:1:1:1:1').toString('base64url'),
    Buffer.from('l9:1:5:1:1').toString('base64url'),
    'A'.repeat(100_000),
    encodeLogCursor({ ...good, position: '9223372036854775807' }),
  ]
  for (const cursor of forged) {
    t.match(
      await refusalOf(service, query, { after: cursor }),
      { code: 'CURSOR_INVALID' },
      cursor.slice(0, 40),
    )
    t.match(
      await refusalOf(service, query, { before: cursor }),
      { code: 'CURSOR_INVALID' },
      cursor.slice(0, 40),
    )
  }
  t.match(await refusalOf(service, query, { after: encodeLogCursor({ ...good, epoch: 2 }) }), {
    code: 'CURSOR_EPOCH',
  })
  const filters: [Record<string, unknown>, RegExp][] = [
    [{ types: [] }, /types is empty/],
    [{ transactionIds: [] }, /empty/],
    [{ transactionIds: Array.from({ length: 1_001 }, (_, at) => `tx-${at}`) }, /at most 1000/],
    [{ actor: '' }, /actor/],
    [{ actor: 'a\0' }, /actor/],
    [{ recordedAt: { from: '2024-01-02T00:00:00Z', to: '2024-01-02T00:00:00Z' } }, /before/],
  ]
  for (const [filter, message] of filters) {
    t.match(await refusalOf(service, query, { filter }), { code: 'BAD_USER_INPUT', message })
  }
})

t.test('a cursor keeps all of its place, and one of an older release is of a log without archives', (t) => {
  const cursor = { epoch: 3, position: '9223372036854775807', messageId: '12', version: 4, archives: 5 }
  t.strictSame(decodeLogCursor(encodeLogCursor(cursor)), cursor)
  const older = Buffer.from('l1:3:9223372036854775807:12:4').toString('base64url')
  t.strictSame(decodeLogCursor(older), { ...cursor, archives: 0 })
  t.end()
})
