import { Kafka, logLevel } from 'kafkajs'
import t from 'tap'
import { idempotencyKey } from '../../src/message/idempotency-key.ts'
import { setUpLine } from '../support/line.ts'
import { startMock } from '../support/mock.ts'
import { night } from '../support/night.ts'
import { readMetric, startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

async function ask<Data>(service: Service, query: string, variables: object = {}): Promise<Data> {
  const response = await fetch(`${service.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  const answer = (await response.json()) as { data: Data | null; errors?: unknown }
  if (answer.data === null || answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  return answer.data
}

const keyOf = (id: string) => idempotencyKey(id)

t.test('of 1,000 cancels under load each is recorded and never sent, or refused and sent', async (t) => {
  const line = await setUpLine(t, ['--success', '1', '--latency', '50'])
  const settings = { ...line.settings, ...night, MAX_CONCURRENT: '50', DOWNSTREAM_TIMEOUT: '5', LEASE: '10' }
  const services = await Promise.all([startReadyService(t, settings), startReadyService(t, settings)])
  await line.pool.query(`select from pause_destination('default', 'alice', 'until all are stored')`)
  await line.produce(4_000)
  await until('all to be stored', async () => (await line.counts()).pending === 4_000)
  const { rows } = await line.pool.query<{ transaction_id: string }>(
    'select transaction_id from messages order by message_id',
  )
  const ids = rows.map((row) => row.transaction_id)
  // From both ends by turns: some of them are delivered already, and others wait. Lanes claim towards them from one end.
  const named = Array.from({ length: 1_000 }, (_, at) => ids[at % 2 === 0 ? at * 2 : ids.length - at * 2]!)
  t.equal(new Set(named).size, 1_000)
  await line.pool.query(`select from resume_destination('default', 'alice', 'all are stored')`)
  await until('payments to flow', async () => (await line.counts()).success > 100)
  const cancel = `mutation ($id: ID!) { cancel(transactionId: $id, reason: "called off") {
    __typename ... on AlreadyStarted { attempt } ... on AlreadyEnded { status } } }`
  const answers = new Map<string, string>()
  const waiting = named.values()
  const operate = async (service: Service): Promise<void> => {
    for (const id of waiting) {
      const answer = await ask<{ cancel: { __typename: string } }>(service, cancel, { id })
      answers.set(id, answer.cancel.__typename)
    }
  }
  await Promise.all([...services, ...services, ...services, ...services].map(operate))
  await line.settled(4_000, 300_000)

  const kinds = [...answers.values()]
  const cancelled = named.filter((id) => answers.get(id) === 'Decided')
  const refused = named.filter((id) => ['AlreadyStarted', 'AlreadyEnded'].includes(answers.get(id) ?? ''))
  t.comment(
    `cancelled ${cancelled.length}, already started ${kinds.filter((each) => each === 'AlreadyStarted').length}, already ended ${kinds.filter((each) => each === 'AlreadyEnded').length}`,
  )
  t.equal(cancelled.length + refused.length, 1_000)
  t.ok(cancelled.length > 0 && refused.length > 0, 'some came in time, and some too late')
  const requests = new Set((await line.ledger()).map(({ key }) => key))
  t.strictSame(
    cancelled.filter((id) => requests.has(keyOf(id))),
    [],
    'what was cancelled was never sent',
  )
  t.strictSame(
    ids.filter((id) => answers.get(id) !== 'Decided' && !requests.has(keyOf(id))),
    [],
    'all else was sent',
  )
  t.match(await line.counts(), { success: 4_000 - cancelled.length, dead_letter: cancelled.length })
  const { rows: letters } = await line.pool.query<{ transaction_id: string }>(
    `select transaction_id from messages where status = 'dead_letter' and attempts = 0`,
  )
  t.strictSame(new Set(letters.map((row) => row.transaction_id)), new Set(cancelled))
  await line.isClean(t)
})

t.test('what is on hold is not sent by any instance, over restarts, until it is released', async (t) => {
  const line = await setUpLine(t, ['--status', '503'])
  const first = await startReadyService(t, {
    ...line.settings,
    HOLD_AFTER: '0',
    BASE_DELAY: '600',
    MAX_DELAY: '3600',
  })
  await line.produce(20)
  await until('each to have failed once', async () => (await line.counts()).failed === 20)
  const { rows } = await line.pool.query<{ transaction_id: string }>('select transaction_id from messages')
  const ids = rows.map((row) => row.transaction_id)
  const hold = `mutation ($id: ID!) { hold(transactionId: $id, reason: "looks odd") { __typename } }`
  for (const id of ids) t.strictSame(await ask(first, hold, { id }), { hold: { __typename: 'Decided' } })
  // Without the hold they would be due at once.
  t.equal(await readMetric(first, 'tqp_messages_on_hold'), 20)
  const { port, ledgerPath } = line.mock
  await line.mock.stop()
  await startMock(t, ['--port', String(port), '--ledger', ledgerPath, '--success', '1'])
  first.kill('SIGKILL')
  await first.ended
  const second = await startReadyService(t, line.settings)
  await line.produce(50)
  await until('others to be delivered', async () => (await line.counts()).success === 50)
  t.match(await line.counts(), { failed: 20 })
  t.equal((await line.ledger()).length, 70, 'one request of each')
  const release = `mutation ($id: ID!) { release(transactionId: $id, reason: "cleared") { ... on Decided { message { nextDueAt } } } }`
  for (const id of ids)
    t.match(await ask(second, release, { id }), { release: { message: { nextDueAt: String } } })
  t.match(await line.counts(), { failed: 20 }, 'their backoff of ten minutes is not over')
  t.equal(await readMetric(second, 'tqp_messages_on_hold'), 0)
  await line.isClean(t)
})

t.test('open dead letters of every cause come to 0 by GraphQL alone, each with its decision', async (t) => {
  const line = await setUpLine(t, ['--status', '503'])
  const settings = {
    ...line.settings,
    HOLD_AFTER: '0',
    BRAKE_AFTER: '0',
    MAX_RETRIES: '1',
    REASONS: 'required',
  }
  const service = await startReadyService(t, settings)
  await line.produce(5)
  t.match(await line.settled(5), { dead_letter: 5 })
  const { port, ledgerPath } = line.mock
  await line.mock.stop()
  await startMock(t, ['--port', String(port), '--ledger', ledgerPath, '--status', '400'])
  await line.produce(5)
  t.match(await line.settled(10), { dead_letter: 10 })
  const known = await line.pool.query<{ transaction_id: string }>(
    'select transaction_id from messages limit 1',
  )
  const id = known.rows[0]!.transaction_id
  const producer = new Kafka({ brokers: line.brokers, logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  t.teardown(() => producer.disconnect())
  await producer.send({
    topic: line.topic,
    messages: [
      { value: 'not json' },
      { value: null },
      { value: JSON.stringify({ transaction_id: id, amount: 'another' }) },
    ],
  })
  await until('the bad records to be stored', async () => (await line.counts()).dead_letter === 13)
  t.equal(await readMetric(service, 'tqp_open_dead_letters'), 13)
  t.equal((await fetch(`${service.url}/replay/${encodeURIComponent(id)}`, { method: 'POST' })).status, 400)

  const page = `{ messages(filter: { resolved: false }, first: 5) { nodes { transactionId deadLetterCause } } }`
  const resolve = `mutation ($id: ID!, $as: Resolution!) {
    resolve(transactionId: $id, as: $as, reason: "settled by hand", evidence: "statement 12") { __typename } }`
  type Letter = { transactionId: string; deadLetterCause: string }
  const resolutions: Record<string, string> = {
    REFUSED: 'NOT_CARRIED_OUT',
    RETRIES_EXHAUSTED: 'CARRIED_OUT',
    REJECTED_RECORD: 'IGNORED',
    CONFLICTING_RECORD: 'DUPLICATE',
  }
  const causes = new Set<string>()
  for (;;) {
    const { messages } = await ask<{ messages: { nodes: Letter[] } }>(service, page)
    if (messages.nodes.length === 0) break
    for (const { transactionId, deadLetterCause } of messages.nodes) {
      causes.add(deadLetterCause)
      const variables = { id: transactionId, as: resolutions[deadLetterCause] }
      t.strictSame(await ask(service, resolve, variables), { resolve: { __typename: 'Decided' } })
    }
  }
  t.strictSame(causes, new Set(Object.keys(resolutions)))
  t.equal(await readMetric(service, 'tqp_open_dead_letters'), 0)
  t.equal(await readMetric(service, 'tqp_resolved_dead_letters'), 13)
  t.match(await (await fetch(`${service.url}/status`)).json(), {
    dead_letters: { open: 0, resolved: 13 },
    on_hold: 0,
  })
  t.match(await (await fetch(`${service.url}/metrics`)).json(), { dead_letter: 13 })
  const { rows } = await line.pool.query(
    `select from messages m join message_events e on e.message_id = m.message_id and e.version = m.version
     where e.type = 'resolved' and e.actor = 'anonymous' and e.reason = 'settled by hand' and e.evidence = 'statement 12'
       and e.resolution = m.resolution`,
  )
  t.equal(rows.length, 13, 'each has its decision as its last event')
  await line.isClean(t)
})
