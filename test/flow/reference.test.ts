import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

t.test(
  'what the processor calls each payment, and where each attempt was sent, is answered by the service',
  async (t) => {
    const line = await setUpLine(t, ['--success', '0.8', '--lost-answers', '0.1'])
    const { host, pathname } = new URL(line.mock.url)
    const service = await startReadyService(t, {
      ...line.settings,
      DOWNSTREAM_URL: `http://${host}${pathname}?key=secret`,
      REFERENCE: 'json:/id',
      MAX_RETRIES: '20',
    })
    await line.produce(60)
    t.match(await line.settled(60), { success: 60 })
    const { rows } = await line.pool.query<{ transaction_id: string; reference: string | null }>(
      'select transaction_id, reference from messages order by message_id',
    )
    const given = new Set(rows.map(({ reference }) => reference))
    t.equal(given.size, 60, 'each payment has a name of its own')
    t.ok(rows.every(({ reference }) => /^pay_[a-z2-7]{12}_[a-z0-9]+$/.test(reference ?? '')))

    const { transaction_id: id, reference } = rows[0]!
    const answer = await fetch(`${service.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        query: `query ($reference: String!) {
          message(reference: $reference) { transactionId reference history { type reference destination { name url } } }
        }`,
        variables: { reference },
      }),
    })
    const { data } = (await answer.json()) as { data: { message: { history: Record<string, unknown>[] } } }
    t.match(data.message, { transactionId: id, reference })
    const sentTo = { name: 'default', url: `http://${host}${pathname}` }
    t.match(data.message.history.at(1), { type: 'ATTEMPT_STARTED', reference: null, destination: sentTo })
    t.match(data.message.history.at(-1), { type: 'SUCCEEDED', reference, destination: sentTo })
    await until('all references to be counted', async () => Number(await countOf(service, 'kept')) >= 60)
    await line.isClean(t)
  },
)

t.test('an answer whose reference must not be kept is a success all the same, and told of', async (t) => {
  const line = await setUpLine(t)
  const number = '4111 1111 1111 1111'
  const processor = createServer((request, response) => {
    request.resume().on('end', () => response.end(JSON.stringify({ id: number })))
  })
  processor.listen(0, '127.0.0.1')
  await once(processor, 'listening')
  t.teardown(() => {
    processor.closeAllConnections()
    processor.close()
  })
  const service = await startReadyService(t, {
    ...line.settings,
    DOWNSTREAM_URL: `http://127.0.0.1:${(processor.address() as AddressInfo).port}/`,
    REFERENCE: 'json:/id',
  })
  await line.produce(3)
  t.match(await line.settled(3), { success: 3 })
  const { rows } = await line.pool.query('select distinct reference from message_events')
  t.strictSame(rows, [{ reference: null }])
  await until('all of them to be counted', async () => (await countOf(service, 'card_number')) === '3')
  const lines = () => service.log.filter(({ event }) => event === 'reference not kept')
  await until('the line', () => lines().length > 0)
  const told = lines()
  t.match(told, [{ transaction_id: /./, attempt: 1, fault: 'card_number' }])
  t.equal(told.length, 1, 'once')
  t.notMatch(service.output() + service.errors(), number)
})

async function countOf({ url }: Service, result: string): Promise<string | undefined> {
  const answer = await fetch(`${url}/metrics`, { headers: { accept: 'text/plain' } })
  return new RegExp(`^tqp_references_total\\{result="${result}"\\} (\\d+)$`, 'm').exec(
    await answer.text(),
  )?.[1]
}
