import t from 'tap'
import { database } from '../../support/database.ts'
import { startService, storeDeadLetters } from '../service.ts'
import { dataOf, refusalOf } from './graphql.ts'

const reading = `query ($filter: JournalFilter, $first: Int, $after: String) {
  journal(filter: $filter, first: $first, after: $after) {
    edges { cursor node { id at kind by actor decision detail reason evidence transactionId destination job topic partition } }
    pageInfo { hasNextPage hasPreviousPage endCursor }
  }
}`

type Journal = {
  journal: {
    edges: { cursor: string; node: Record<string, unknown> }[]
    pageInfo: { hasNextPage: boolean; endCursor: string | null }
  }
}

t.test('the journal is read page by page, and a cursor belongs to its filter', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['pay-1'])
  const decide = (query: string) => dataOf(service, `mutation { ${query} { __typename } }`)
  await decide('pauseDestination(reason: "a night of theirs")')
  await decide('resolve(transactionId: "pay-1", as: CARRIED_OUT, reason: "the bank says so", evidence: "7")')
  await decide('resumeDestination(reason: "they are back")')
  const read = (variables = {}) => dataOf<Journal>(service, reading, variables)

  const first = (await read({ first: 2 })).journal
  t.match(
    first.edges.map(({ node }) => node),
    [
      { kind: 'DESTINATION', by: 'OPERATOR', decision: 'ramping', destination: 'default' },
      { kind: 'PAYMENT', actor: 'anonymous', decision: 'resolved', detail: 'carried_out', evidence: '7' },
    ],
  )
  t.match(first.pageInfo, { hasNextPage: true, hasPreviousPage: false })
  const second = (await read({ first: 2, after: first.pageInfo.endCursor })).journal
  t.match(
    second.edges.map(({ node }) => node),
    [{ kind: 'DESTINATION', decision: 'paused', reason: 'a night of theirs' }],
  )
  t.equal(second.pageInfo.hasNextPage, false)
  const filter = { kinds: ['PAYMENT'] }
  t.equal((await read({ filter })).journal.edges.length, 1)
  t.equal((await read({ filter: { actor: 'somebody else' } })).journal.edges.length, 0)
  const { cursor } = first.edges[0]!
  for (const after of [cursor, 'x', cursor.slice(1)])
    t.match(
      await refusalOf(service, reading, { filter, after }),
      { code: 'CURSOR_INVALID' },
      'of another filter, or none',
    )
  // What PostgreSQL cannot take is no outage of it.
  const at = { from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' }
  for (const refused of [{ actor: '\0' }, { actor: '\ud800' }, { actor: '' }, { at }])
    t.match(await refusalOf(service, reading, { filter: refused }), { code: 'BAD_USER_INPUT' })
  const [form, bound, key1] = Buffer.from(first.pageInfo.endCursor!, 'base64url').toString().split(':')
  const never = [form, bound, key1, '2026-13-41T25:00:00.000000Z 6 1'].join(':')
  t.match(await refusalOf(service, reading, { after: Buffer.from(never).toString('base64url') }), {
    code: 'CURSOR_INVALID',
  })
  t.match(await refusalOf(service, reading, { first: 501 }), { code: 'BAD_USER_INPUT' })
})
