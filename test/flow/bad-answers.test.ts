import { STATUS_CODES } from 'node:http'
import { Kafka, logLevel } from 'kafkajs'
import { createServer } from 'node:tls'
import t, { type Test } from 'tap'
import { makeCertificates } from '../support/certificates.ts'
import { answer } from '../deliver/processor.ts'
import type { OutcomeKind } from '../../src/message/outcome.ts'
import { startAnswering, type Answering } from '../support/answering.ts'
import { findFreePort } from '../support/free-port.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.jobs = 2

const card = '4111111111111111'
const baseDelayMs = 100
const maxDelayMs = 1_000

/** What the log says of an attempt with this answer. Retries: after the backoff, or after exactly so many milliseconds. */
interface Expected {
  kind: OutcomeKind
  statusCode?: number | null
  reason?: RegExp | string
  retryAfterMs?: number
}

type Row = [what: string, behave: Answering['behave'], expected: Expected]

function write(raw: string): Answering['behave'] {
  return (socket) => socket.write(raw)
}

function end(raw: string): Answering['behave'] {
  return (socket) => socket.end(raw)
}

/** Writes for as long as the other side takes it. */
function pour(head: string, block: string): Answering['behave'] {
  return (socket) => {
    const more = () => {
      while (socket.writable && socket.write(block));
    }
    socket.write(head)
    socket.on('drain', more)
    more()
  }
}

function drip(head: string, everyMs: number): Answering['behave'] {
  return (socket) => {
    socket.write(head)
    const timer = setInterval(() => socket.write('x'), everyMs)
    socket.once('close', () => clearInterval(timer))
  }
}

function accepted(statusCode: number): Expected {
  return { kind: 'accepted', statusCode }
}

function unknown(reason: RegExp | string, statusCode?: number | null): Expected {
  return { kind: 'unknown', reason, ...(statusCode === undefined ? {} : { statusCode }) }
}

/** Refused, or unavailable where the contract has it so; in the standard's words and no others. */
function failed(statusCode: number, retryAfterMs?: number): Expected {
  const kind =
    [401, 403, 407, 408, 409, 425, 429].includes(statusCode) || statusCode >= 500 ? 'unavailable' : 'refused'
  const reason = `HTTP ${statusCode} ${STATUS_CODES[statusCode] ?? ''}`.trim()
  return { kind, statusCode, reason, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

function retryAfter(status: string, value: string): Answering['behave'] {
  return write(answer(status, '', `Retry-After: ${value}\r\n`))
}

const ok = 'HTTP/1.1 200 OK\r\n'
const endless = 'Content-Length: 2147483648\r\n\r\n'
const redirects = [300, 301, 302, 303, 304, 307, 308]
const refusals = Array.from({ length: 23 }, (_, at) => 400 + at)

const rows: Row[] = [
  ['200 with HTML', write(answer('200 OK', '<h1>Hi</h1>', 'Content-Type: text/html\r\n')), accepted(200)],
  ['200 with an empty body', write(answer('200 OK')), accepted(200)],
  ['200 with broken JSON', write(answer('200 OK', '{"status":"succ')), accepted(200)],
  ['202', write(answer('202 Accepted', '{}')), accepted(202)],
  ['204', write('HTTP/1.1 204 No Content\r\n\r\n'), accepted(204)],
  ...redirects.map((status): Row => {
    const raw = `HTTP/1.1 ${status} Elsewhere\r\nContent-Length: 0\r\nLocation: /elsewhere\r\n\r\n`
    return [`${status} with a Location`, write(raw), failed(status)]
  }),
  ...refusals.map((status): Row => [String(status), write(answer(`${status} Odd`, '{}')), failed(status)]),
  ['408 with an absurd Retry-After', retryAfter('408 Odd', '9'.repeat(400)), failed(408, maxDelayMs)],
  ['408 with a negative Retry-After', retryAfter('408 Odd', '-5'), failed(408)],
  ['425 with an absurd Retry-After', retryAfter('425 Odd', '99999999999'), failed(425, maxDelayMs)],
  ['425 with a negative Retry-After', retryAfter('425 Odd', '-1e9'), failed(425)],
  [
    '429 with an absurd Retry-After',
    retryAfter('429 Odd', 'Fri, 31 Dec 9999 23:59:59 GMT'),
    failed(429, maxDelayMs),
  ],
  ['429 with a negative Retry-After', retryAfter('429 Odd', '-99999999999'), failed(429)],
  ['500', write(answer('500 Odd', '{}')), unknown('HTTP 500 Internal Server Error', 500)],
  ['502', write(answer('502 Odd', '{}')), unknown('HTTP 502 Bad Gateway', 502)],
  ['504', write(answer('504 Odd', '{}')), unknown('HTTP 504 Gateway Timeout', 504)],
  ['503 with a Retry-After of no form', retryAfter('503 Odd', 'soon'), failed(503)],
  [
    '100 Continue that was not asked for, then 200',
    write(`HTTP/1.1 100 Continue\r\n\r\n${answer('200 OK', '{}')}`),
    accepted(200),
  ],
  [
    'a flood of 1xx',
    pour('', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(50)),
    unknown('over 100 interim answers, sent, no answer', null),
  ],
  ['1xx and no other', end('HTTP/1.1 103 Early Hints\r\n\r\n'), unknown(/closed before the answer/, null)],
  ['status 600', write(answer('600 Odd')), unknown('HTTP 600, which is no known answer', 600)],
  ['status 999', write(answer('999 Odd')), unknown('HTTP 999, which is no known answer', 999)],
  [
    'a header of 1 MB',
    write(`${ok}X-Long: ${'a'.repeat(2 ** 20)}\r\n\r\n`),
    unknown('the headers of the answer are too long', null),
  ],
  [
    'a header with an injected line',
    write(answer('200 OK', '{}', 'X-A: a\r\nX-Injected: yes\r\n')),
    accepted(200),
  ],
  [
    'a header with a bare carriage return',
    write(answer('503 Odd', '{}', 'X-A: a\rX-Injected: yes\r\n')),
    unknown(
      'the headers of the answer are not HTTP/1.1, broken before the answer (Missing expected LF after header value)',
      null,
    ),
  ],
  [
    'a header with ANSI codes',
    write(answer('503 Odd', '{}', 'X-A: \u001b[31mred\u001b[0m\r\n')),
    unknown(
      'the headers of the answer are not HTTP/1.1, broken before the answer (Invalid header value char)',
      null,
    ),
  ],
  ['ANSI codes in the status line', write(answer('503 \u001b[2J')), failed(503)],
  ['200 that echoes a card number', write(answer('200 OK', `{"card":"${card}"}`)), accepted(200)],
  [
    '402 that echoes a card number',
    write(answer(`402 ${card}`, `{"card":"${card}"}`, `X-Card: ${card}\r\n`)),
    failed(402),
  ],
  [
    '503 that echoes a card number',
    write(answer(`503 ${card}`, `{"card":"${card}"}`, `Retry-After: ${card}\r\n`)),
    failed(503, maxDelayMs),
  ],
  ['silence', () => undefined, unknown('timeout after 5 s, sent, no answer', null)],
  [
    'a byte a second',
    drip(`${ok}Content-Length: 1000\r\n\r\n`, 1_000),
    unknown('timeout after 5 s, sent, answer (HTTP 200) not complete', 200),
  ],
  ['a reset before the answer', (socket) => socket.resetAndDestroy(), unknown(/^connection reset before/)],
  [
    'a reset in the middle of the answer',
    (socket) => void socket.write(`${ok}Content-Length: 9\r\n\r\n12`, () => socket.resetAndDestroy()),
    // A reset may overtake what was written before it, or come as a close.
    unknown(/^connection (reset|closed) before/),
  ],
  [
    'a body shorter than its length',
    end(`${ok}Content-Length: 10\r\n\r\n12345`),
    unknown('connection closed before the end of the answer (HTTP 200)', 200),
  ],
  ['an answer of 2 GB', pour(ok + endless, 'x'.repeat(65_536)), accepted(200)],
  ['a failure of 2 GB', pour(`HTTP/1.1 503 Odd\r\n${endless}`, 'x'.repeat(65_536)), failed(503)],
]

t.test(
  'each answer has its outcome, events and follow-up, and the others are delivered meanwhile',
  async (t) => {
    const line = await setUpLine(t)
    const ids = new Map(rows.map(([, ...row], at) => [`bad-${at}`, row]))
    const processor = await startAnswering(t, line, (id): Answering => {
      const [behave, expected] = ids.get(id) ?? [write(answer('200 OK')), accepted(200)]
      // The worst case: what is unknown to us was carried out.
      return { effect: expected.kind === 'accepted' || expected.kind === 'unknown', behave }
    })
    await startReadyService(t, {
      ...line.settings,
      DOWNSTREAM_URL: processor.url.href,
      DOWNSTREAM_TIMEOUT: '5',
      LEASE: '7',
      MAX_RETRIES: '1',
      HOLD_AFTER: '0',
      THROTTLE_MAX: '0',
      BRAKE_AFTER: '0',
      BASE_DELAY: String(baseDelayMs / 1_000),
      MAX_DELAY: String(maxDelayMs / 1_000),
    })
    const values = rows.flatMap((_, at) => [`bad-${at}`, `good-${at}`])
    await produce(line, values)
    const settled = await line.settled(values.length)
    const successes = rows.filter(([, , { kind }]) => kind === 'accepted').length
    t.match(settled, { success: rows.length + successes, dead_letter: rows.length - successes })

    const messages = await readMessages(line)
    for (const [at, [what, , expected]] of rows.entries()) {
      await t.test(what, async (t) => check(t, expected, messages.get(`bad-${at}`)!))
    }
    const { rows: late } = await line.pool.query(
      `select m.transaction_id from messages m where transaction_id like 'good-%' and updated_at > (
        select min(updated_at) from messages where error_message like 'timeout%')`,
    )
    t.strictSame(late, [], 'the good ones were delivered before the silent ones were given up')
    t.ok(
      processor.requests.every(({ head }) => head.startsWith('POST /process HTTP/1.1')),
      'no redirect was followed',
    )
    await line.isClean(t)
  },
)

t.test('refused connections and bad certificates are retried until the processor is right', async (t) => {
  const { ca, expired, otherHost, server: right, stranger } = makeCertificates(t)
  const line = await setUpLine(t)
  const port = await findFreePort()
  await startReadyService(t, {
    ...line.settings,
    DOWNSTREAM_URL: `https://localhost:${port}/process`,
    DOWNSTREAM_CA: `${t.testdir({ 'ca.pem': ca })}/ca.pem`,
    MAX_RETRIES: '1000',
    HOLD_AFTER: '0',
    THROTTLE_MAX: '0',
  })
  let produced = 0
  const reasonIs = async (reason: string) => {
    await produce(line, [`during ${reason.slice(0, 40)}`])
    produced += 1
    await until(`each to fail with ${reason}`, async () => {
      const { rows } = await line.pool.query<{ error_message: string | null; status: string }>(
        'select error_message from messages',
      )
      return rows.length === produced && rows.every(({ error_message }) => error_message === reason)
    })
  }
  await reasonIs(`connection refused (localhost:${port})`)
  const server = createServer(expired)
  server.on('tlsClientError', () => undefined)
  const behave = write(answer('200 OK'))
  const processor = await startAnswering(t, line, () => ({ effect: true, behave }), { server, port })
  await reasonIs(`TLS: certificate has expired [CERT_HAS_EXPIRED] (localhost:${port})`)
  server.setSecureContext(otherHost)
  await reasonIs(`TLS: the certificate is for another host (localhost:${port})`)
  server.setSecureContext(stranger)
  await reasonIs(`TLS: self-signed certificate [DEPTH_ZERO_SELF_SIGNED_CERT] (localhost:${port})`)
  t.strictSame(processor.requests, [], 'no request left')
  server.setSecureContext(right)
  t.match(await line.settled(4), { success: 4 })
  const { rows: outcomes } = await line.pool.query(
    `select distinct outcome from message_events where type = 'attempt_failed'`,
  )
  t.strictSame(outcomes, [{ outcome: 'not_sent' }])
  t.equal(processor.requests.length, 4, 'each was sent once')
  await line.isClean(t)
})

interface Found {
  status: string
  error_message: string | null
  outcome_unknown: boolean
  events: {
    type: string
    outcome: string | null
    status_code: number | null
    reason: string | null
    delay_ms: number | null
  }[]
}

async function readMessages(line: Line): Promise<Map<string, Found>> {
  const { rows: found } = await line.pool.query<Found & { transaction_id: string }>(
    `select m.transaction_id, m.status, error_message, outcome_unknown, json_agg(json_build_object(
          'type', e.type, 'outcome', e.outcome, 'status_code', e.status_code, 'reason', e.reason,
          'delay_ms', round(1000 * extract(epoch from e.due_at - e.recorded_at))) order by e.version) as events
      from messages m join message_events e using (message_id)
      group by m.transaction_id, m.status, error_message, outcome_unknown`,
  )
  return new Map(found.map(({ transaction_id: id, ...message }) => [id, message]))
}

function check(t: Test, expected: Expected, { events, ...message }: Found): void {
  const { kind, statusCode, reason = null } = expected
  const types = events.map(({ type }) => type)
  const once = ['received', 'attempt_started']
  if (kind === 'accepted') {
    t.strictSame(types, [...once, 'succeeded'])
    t.match(message, { status: 'success', error_message: null, outcome_unknown: false })
  } else {
    const retried = kind === 'refused' ? [] : ['attempt_failed', 'attempt_started']
    t.strictSame(types, [...once, ...retried, 'attempt_failed', 'dead_lettered'])
    t.match(message, { status: 'dead_letter', error_message: reason, outcome_unknown: kind === 'unknown' })
  }
  for (const [at, { type, outcome, status_code, reason: told, delay_ms }] of events.entries()) {
    if (type !== 'succeeded' && type !== 'attempt_failed') continue
    t.equal(outcome, kind)
    if (statusCode !== undefined) t.equal(status_code, statusCode)
    if (reason instanceof RegExp) t.match(told, reason)
    else t.equal(told, reason)
    t.notMatch(told ?? '', /[\p{Cc}]/u)
    if (events[at + 1]?.type === 'attempt_started') checkDelay(t, delay_ms, expected.retryAfterMs)
    else t.equal(delay_ms, null)
  }
}

function checkDelay(t: Test, delayMs: number | null, retryAfterMs: number | undefined): void {
  if (retryAfterMs !== undefined) t.equal(delayMs, retryAfterMs)
  else t.ok(delayMs !== null && delayMs >= 0.8 * baseDelayMs && delayMs <= 1.2 * baseDelayMs, `${delayMs} ms`)
}

async function produce(line: Line, ids: string[]): Promise<void> {
  const producer = new Kafka({ brokers: line.brokers, logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  const messages = ids.map((id) => ({ value: JSON.stringify({ transaction_id: id, card }) }))
  await producer.send({ topic: line.topic, messages })
  await producer.disconnect()
}
