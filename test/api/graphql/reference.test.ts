import t, { type Test } from 'tap'
import type { Pool } from 'pg'
import { registerInstance } from '../../../src/log/write/register-instance.ts'
import { settle } from '../../../src/log/write/settle.ts'
import { database } from '../../support/database.ts'
import { startService, store } from '../service.ts'
import { dataOf, graphql, refusalOf } from './graphql.ts'
import { tqp } from '../../tqp/tqp.ts'

/** Transactions that are paid, each under the name that the processor gave it. */
async function pay(pool: Pool, names: Readonly<Record<string, string>>): Promise<void> {
  const claims = await store(pool, Object.keys(names), { room: 100 })
  await settle(
    pool,
    'instance-1/fresh',
    claims.map((claim) => ({
      ...claim,
      outcome: { kind: 'accepted', statusCode: 200, reference: { text: names[claim.transactionId]! } },
      durationMs: 1,
      decision: { then: 'success' },
      verdict: 'success',
    })),
  )
}

async function register(pool: Pool, destinationUrl: string | null): Promise<void> {
  const retry = { retriesMax: 5, baseDelayMs: 60_000, maxDelayMs: 3_600_000 }
  const limits = { freshMax: 100, retryMax: 5, leaseMs: 60_000, timeoutMs: 30_000 }
  await registerInstance(pool, { instance: 'instance-1', release: '1.2.3', ...limits, retry, destinationUrl })
}

async function setUp(t: Test) {
  const { pool } = await database(t)
  return {
    pool,
    service: await startService(t, pool, undefined, { tokens: [], open: true, introspection: true }),
  }
}

const byReference = `query ($reference: String, $id: ID) {
  message(reference: $reference, transactionId: $id) { transactionId reference }
}`

t.test('a payment is found by what the processor calls it, exactly', async (t) => {
  const { pool, service } = await setUp(t)
  await pay(pool, { 'tx-1': 'pay-1', 'tx-2': 'pay-2' })
  const find = async (reference: string) =>
    (await dataOf<{ message: object | null }>(service, byReference, { reference })).message
  t.strictSame(await find('pay-1'), { transactionId: 'tx-1', reference: 'pay-1' })
  for (const other of ['pay', 'PAY-1', 'pay-1 ', '', 'a\u0000b']) t.equal(await find(other), null)
})

t.test('if several payments have it, they are named and none is chosen; the list has them all', async (t) => {
  const { pool, service } = await setUp(t)
  await pay(pool, { 'tx-1': 'same', 'tx-2': 'other', 'tx-3': 'same' })
  const answer = await graphql(service, byReference, { reference: 'same' })
  t.match(answer, {
    data: { message: null },
    errors: [{ extensions: { code: 'AMBIGUOUS', transactionIds: ['tx-3', 'tx-1'] } }],
  })
  const list = `{ messages(filter: { reference: "same" }) { totalCount { value exact } nodes { transactionId } } }`
  t.strictSame(await dataOf(service, list), {
    messages: {
      totalCount: { value: '2', exact: true },
      nodes: [{ transactionId: 'tx-3' }, { transactionId: 'tx-1' }],
    },
  })
  t.match(await refusalOf(service, '{ messages(filter: { reference: "" }) { nodes { transactionId } } }'), {
    code: 'BAD_USER_INPUT',
    message: /^reference must be text/,
  })
})

t.test('message wants an id or a reference, and not both', async (t) => {
  const { service } = await setUp(t)
  for (const variables of [{}, { reference: null }, { reference: 'pay-1', id: 'tx-1' }])
    t.match(await refusalOf(service, byReference, variables), {
      code: 'BAD_USER_INPUT',
      message: 'message needs transactionId or reference: name one of them.',
    })
})

t.test('the history says what each answer called it, and where each attempt was sent', async (t) => {
  const { pool, service } = await setUp(t)
  await pay(pool, { 'tx-1': 'pay-1' })
  const history = `{ message(transactionId: "tx-1") { history { type reference destination { name url } } } }`
  const read = async () =>
    (await dataOf<{ message: { history: object[] } }>(service, history)).message.history
  t.strictSame(await read(), [
    { type: 'RECEIVED', reference: null, destination: null },
    { type: 'ATTEMPT_STARTED', reference: null, destination: { name: 'default', url: null } },
    { type: 'SUCCEEDED', reference: 'pay-1', destination: { name: 'default', url: null } },
  ])
  await register(pool, 'https://processor.test/process')
  const destination = { name: 'default', url: 'https://processor.test/process' }
  t.match(await read(), [{ destination: null }, { destination }, { destination }])
})

t.test('tqp lists by reference, and shows it with the address', async (t) => {
  const { pool, service } = await setUp(t)
  await register(pool, 'https://processor.test/process')
  await pay(pool, { 'tx-1': 'pay-1', 'tx-2': 'pay-2' })
  const at = { url: `http://127.0.0.1:${service.port}` }
  const listed = await tqp(at, 'list', '--reference', 'pay-2')
  t.match(listed.output, /^tx-2 /m)
  t.notMatch(listed.output, /tx-1/)
  const { output } = await tqp(at, 'show', 'tx-2')
  t.match(output, /^sent to {6}https:\/\/processor\.test\/process$/m)
  t.match(output, /^reference {4}pay-2, as the processor calls it$/m)
  t.match(output, /succeeded .* reference pay-2$/m)
})
