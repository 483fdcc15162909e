import t from 'tap'
import { database } from '../../support/database.ts'
import { startService, storeSuccesses } from '../service.ts'
import { dataOf } from './graphql.ts'

type Node = { __typename: string; id: string; transactionId?: string; type?: string }

t.test('a message and an event are found again by their id alone, as what they are', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeSuccesses(pool, ['paid-1', 'paid-2'])
  const { messages } = await dataOf<{ messages: { nodes: { id: string; history: { id: string }[] }[] } }>(
    service,
    '{ messages { nodes { id history { id } } } }',
  )
  const ids = messages.nodes.flatMap(({ id, history }) => [id, ...history.map((event) => event.id)])
  t.equal(new Set(ids).size, 8, 'each has an id of its own')
  const found = await findNodes(ids)
  t.strictSame(
    found.map((node) => node?.id),
    ids,
  )
  t.strictSame(
    found.slice(0, 4).map((node) => [node?.__typename, node?.type ?? node?.transactionId]),
    [
      ['Message', 'paid-2'],
      ['Event', 'RECEIVED'],
      ['Event', 'ATTEMPT_STARTED'],
      ['Event', 'SUCCEEDED'],
    ],
  )
  const [message = ''] = ids
  const nobody = [
    ...['', 'paid-1', '0', '-1', '01', `${message} `, ` ${message}`, `${message}:`, `${message}:0`],
    ...[`${message}:4`, `${message}:01`, `${message}:1:1`, `${message}:9999999999`, '9223372036854775807'],
    ...['9223372036854775808', '9'.repeat(19), '9'.repeat(400), `${message}\u0000`, '１'],
  ]
  t.strictSame(
    await findNodes(nobody),
    nobody.map(() => null),
  )

  async function findNodes(asked: string[]): Promise<(Node | null)[]> {
    const answers = []
    for (const id of asked) {
      const query = `query ($id: ID!) {
        node(id: $id) { __typename id ... on Message { transactionId } ... on Event { type } }
      }`
      answers.push((await dataOf<{ node: Node | null }>(service, query, { id })).node)
    }
    return answers
  }
})
