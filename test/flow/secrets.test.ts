import { createHash, randomBytes } from 'node:crypto'
import { Kafka, logLevel, type Message } from 'kafkajs'
import t, { type Test } from 'tap'
import { answer } from '../deliver/processor.ts'
import { startAnswering, type Answering } from '../support/answering.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { isReady, startReadyService, startService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

const card = '4111111111111111'
const token = 'token-that-is-secret'
const secrets = {
  header: 'header-that-is-secret',
  database: 'database-that-is-secret',
  sasl: 'sasl-that-is-secret',
}

/** Every part of an answer that could be quoted, with the card's number in it. */
const answers: Record<string, string> = {
  body: answer('200 OK', `{"card":"${card}"}`),
  refusal: answer(`402 ${card}`, `{"card":"${card}"}`, `X-Card: ${card}\r\n`),
  'retry-after': answer(`503 ${card}`, '', `Retry-After: ${card}\r\n`),
  location: answer('302 Found', '', `Location: /cards/${card}\r\n`),
  colours: answer('503 \u001b[31mDown', `\u001b[2J${card}`),
  'dirty-header': answer('503 Down', '', `X-Card: ${card}\u001b[2J\u0000\r\n`),
  'bad-length': `HTTP/1.1 200 OK\r\nContent-Length: ${card}x\r\n\r\n{}`,
  'bad-chunk': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${card}x\r\n{}\r\n0\r\n\r\n`,
  'no-http': `${card} \u001b[2J\r\n\r\n`,
}

/** Records that hold the card's number wherever a record can, of every kind of event. */
const records: Message[] = [
  ...Object.keys(answers).map((id) => ({ value: JSON.stringify({ transaction_id: id, card }) })),
  { key: card, value: JSON.stringify({ transaction_id: 'key' }) },
  { headers: { [card]: card, traceparent: card }, value: JSON.stringify({ transaction_id: 'headers' }) },
  { value: JSON.stringify({ transaction_id: 'twice', card, amount: 2 }) },
  { value: JSON.stringify({ transaction_id: 'twice', card }) },
  { value: `{"transaction_id":"broken","card":"${card}"` },
  { value: `{"transaction_id":${card}}` },
  { value: JSON.stringify({ transaction_id: `\u001b[31m${card}` }) },
  { value: JSON.stringify({ transaction_id: `${card}\u202e` }) },
  { value: JSON.stringify({ card }) },
  { value: JSON.stringify(card) },
  { value: JSON.stringify({ transaction_id: 'refused-by-postgresql', card }), headers: { refused: 'yes' } },
]

t.test('no secret, card number or control character is in any line, metric or status', async (t) => {
  const line = await setUpLine(t)
  const processor = await startAnswering(t, line, (id): Answering => {
    const raw = answers[id] ?? answer('200 OK')
    return {
      effect: raw.startsWith('HTTP/1.1 200'),
      behave: (socket) => (id === 'no-http' ? socket.end(raw) : socket.write(raw)),
    }
  })
  // What PostgreSQL says of a value that it refuses quotes the value.
  await line.pool.query(`create function refuse() returns trigger language plpgsql as $$ begin
      if new.headers::text like '%refused%' then
        raise exception 'invalid input syntax for type json: "%"', convert_from(new.payload, 'UTF8')
          using errcode = '22P02', detail = convert_from(new.payload, 'UTF8');
      end if;
      return new;
    end $$;
    create trigger refuse before insert on records for each row execute function refuse()`)
  const settings = {
    ...line.settings,
    DATABASE_URL: await withPassword(t, line),
    DOWNSTREAM_URL: `${processor.url.href}?card=${card}`,
    DOWNSTREAM_HEADERS: JSON.stringify({ Authorization: secrets.header }),
    API_TOKENS: `alice:operator:${createHash('sha256').update(token).digest('hex')}`,
    MAX_RETRIES: '1',
    HOLD_AFTER: '0',
    THROTTLE_MAX: '0',
    BRAKE_AFTER: '0',
    LOG_LEVEL: 'debug',
  }
  const service = await startReadyService(t, settings)
  await produce(line)
  await line.settled(records.length)
  t.match(processor.requests[0]?.head, secrets.header, 'the header was sent')

  const shown = [await show(service)]
  await askOddly(service)
  const sasl = {
    KAFKA_SASL_MECHANISM: 'plain',
    KAFKA_SASL_USERNAME: 'alice',
    KAFKA_SASL_PASSWORD: secrets.sasl,
  }
  const refused = await startService(t, { ...settings, ...sasl })
  await until('SASL to fail', () => refused.log.some(({ event }) => event === 'waiting for Kafka'))
  shown.push(await show(refused))
  for (const each of [service, refused]) {
    each.kill('SIGTERM')
    t.equal(await each.ended, 0)
  }
  // An operator's own words stand in the log as they were given.
  const { rows: reasons } = await line.pool.query<{ reason: string }>(
    `select distinct reason from message_events where reason is not null and type <> 'replayed'`,
  )
  t.ok(reasons.length >= 12, 'many things went wrong')
  const events = new Set(service.log.map(({ event }) => event))
  for (const event of ['record ingested', 'attempt', 'dead letter', 'replay', 'record refused by PostgreSQL'])
    t.ok(events.has(event), `the log tells of ${event}`)
  t.ok(service.output().includes('\\u009b'), 'an odd id is told by its numbers')

  const told: Record<string, string> = {
    'the log': service.output(),
    'the log of a failing start': refused.output(),
    'standard error': service.errors() + refused.errors(),
    'metrics and status': shown.join('\n'),
    'the reasons of events': reasons.map(({ reason }) => reason).join('\n'),
  }
  // Not by a match: its diagnostics would show what must not be seen, and break the test's own report.
  for (const [what, text] of Object.entries(told)) {
    for (const secret of [card, token, ...Object.values(secrets)])
      t.notOk(text.includes(secret), `${what} holds no ${secret}`)
    t.notOk(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u.test(text.replaceAll('\n', '')), `${what} is clean`)
  }
  await line.isClean(t)
})

/** A role of the test's own, whose password is known to be secret. */
async function withPassword(t: Test, line: Line): Promise<string> {
  const role = `secretive_${randomBytes(4).toString('hex')}`
  await line.pool.query(`create role ${role} superuser login password '${secrets.database}'`)
  t.teardown(() => line.pool.query(`drop role ${role}`))
  const url = new URL(line.settings.DATABASE_URL!)
  url.username = role
  url.password = secrets.database
  return url.href
}

async function produce(line: Line): Promise<void> {
  const producer = new Kafka({ brokers: line.brokers, logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  await producer.send({ topic: line.topic, messages: records })
  await producer.disconnect()
}

async function show({ url }: Service): Promise<string> {
  const accept = { accept: 'text/plain' }
  const asked = [
    fetch(`${url}/metrics`),
    fetch(`${url}/metrics`, { headers: accept }),
    ...['status', 'readyz', 'healthz', ''].map((path) => fetch(`${url}/${path}`)),
  ]
  const answered = await Promise.all(asked)
  return (await Promise.all(answered.map((each) => each.text()))).join('\n')
}

/** Requests with odd characters, and with the card's number where it does not belong. */
async function askOddly(service: Service): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const odd = '\u001b[31m\u009b31m\u202e\u2028'
  const body = JSON.stringify({ reason: `the card ${card} was mended`, operator: odd })
  for (const id of [odd, 'refusal', 'nobody'])
    await fetch(`${service.url}/replay/${encodeURIComponent(id)}`, { method: 'POST', headers, body })
  const query = `mutation ($id: ID!) { replay(transactionId: $id, reason: "${card}") { __typename } }`
  for (const variables of [{ id: odd }, { id: 'nobody' }, { id: 7, card }])
    await fetch(`${service.url}/graphql`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ query, variables }),
    })
  await fetch(`${service.url}/transactions?limit=${card}`, { headers: { authorization: card } })
  await isReady(service)
}
