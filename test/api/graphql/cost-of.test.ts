import { buildSchema, getOperationAST, Kind, parse, type FragmentDefinitionNode } from 'graphql'
import t from 'tap'
import { costOf } from '../../../src/api/graphql/limits/cost-of.ts'

const schema = buildSchema(`
  type Query { page(first: Int, last: Int): Page, one: Item }
  type Mutation { many(transactionIds: [ID!]!): [Result!]! }
  type Page { nodes: [Item!]!, edges: [Edge!]!, pageInfo: PageInfo! }
  type Edge { node: Item! }
  type PageInfo { hasNextPage: Boolean! }
  type Item { id: ID!, name: String, history(first: Int! = 20): [Item!], list: [Item!], tags: [String!] }
  union Result = Item | Page
`)

function cost(text: string, variables: Record<string, unknown> = {}): number {
  const document = parse(text)
  const fragments = document.definitions.filter(
    (each): each is FragmentDefinitionNode => each.kind === Kind.FRAGMENT_DEFINITION,
  )
  const byName = new Map(fragments.map((each) => [each.name.value, each]))
  return costOf(schema, getOperationAST(document)!, byName, variables)
}

t.test('a value counts once for each object that it may stand in', (t) => {
  t.equal(cost('{ one { id name tags } }'), 4)
  t.equal(cost('{ one { id } other: one { id } }'), 4)
  t.equal(cost('{ one { history(first: 7) { id name } } }'), 1 + 1 + 7 * 2)
  t.equal(cost('{ one { history { id } } }'), 1 + 1 + 20, 'as many as are given unless one says')
  t.equal(cost('{ one { list { id } } }'), 1 + 1 + 100, 'and a hundred where nothing is said')
  t.equal(cost('{ page(first: 50) { nodes { id history(first: 10) { id } } } }'), 1 + 50 * (1 + 1 + 1 + 10))
  t.equal(
    cost('{ page(last: 5) { edges { node { id } } pageInfo { hasNextPage } } }'),
    1 + 5 * (1 + 1 + 1 + 2),
  )
  t.equal(cost('{ page { nodes { id } } }'), 1 + 100 * 2)
  t.end()
})

t.test('sizes may be variables, with or without a default', (t) => {
  const query = 'query ($n: Int = 3) { page(first: $n) { nodes { id } } }'
  t.equal(cost(query, { n: 50 }), 1 + 50 * 2)
  t.equal(cost(query), 1 + 3 * 2)
  t.equal(cost('query ($n: Int) { page(first: $n) { nodes { id } } }'), 1 + 100 * 2)
  const many = 'mutation ($ids: [ID!]!) { many(transactionIds: $ids) { ... on Item { id name } } }'
  t.equal(cost(many, { ids: ['a', 'b', 'c'] }), 1 + 3 * 2)
  t.equal(cost('mutation { many(transactionIds: ["a", "b"]) { __typename } }'), 1 + 2)
  t.end()
})

t.test('a size that the field will refuse itself is not what the operation is refused for', (t) => {
  for (const size of ['-1', '1000000000', '0'])
    t.ok(cost(`{ page(first: ${size}) { nodes { id } } }`) <= 2_001)
  t.equal(cost('query ($n: Int) { page(first: $n) { nodes { id } } }', { n: 'x' }), 201)
  t.end()
})

t.test('fragments that double each other are counted in no time', (t) => {
  const fragments = Array.from(
    { length: 60 },
    (_, at) => `fragment f${at} on Item { ...f${at + 1} ...f${at + 1} }`,
  )
  const query = `{ one { ...f0 } } ${fragments.join(' ')} fragment f60 on Item { id ... on Item { name } }`
  t.equal(cost(query), 1 + 2 ** 61)
  t.end()
})
