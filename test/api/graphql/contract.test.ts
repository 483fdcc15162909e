import { readFileSync } from 'node:fs'
import { buildSchema } from 'graphql'
import t from 'tap'
import { schema } from '../../../src/api/graphql/schema.ts'
import { findDepartures } from './find-departures.ts'

// A copy of what the schema was agreed to be. It stands here and not beside the printed schema, because it is what this test
// holds the code against, and a clone has to be able to judge itself: users read schema/schema.graphql.
const contract = buildSchema(readFileSync(new URL('contract.graphql', import.meta.url), 'utf8'))

t.test('the schema has every name, argument, type and description that was agreed', async (t) => {
  t.strictSame(findDepartures(contract, schema), [])
})

t.test('a name, a type, a default or a description that departs from what was agreed is found', async (t) => {
  const agreed = buildSchema('enum E { A B } "Words." type Query { a(n: Int! = 1): Int!, b: E, c: Int }')
  const other = buildSchema('enum E { A } type Query { a(n: Int! = 2): Int, b(more: Int): E }')
  t.strictSame(findDepartures(agreed, other), [
    'E: B is missing',
    'Query does not say: Words.',
    'Query.a is Int and should be Int!',
    'Query.a(n) is 2 unless given, and should be 1',
    'Query.c is missing',
  ])
})
