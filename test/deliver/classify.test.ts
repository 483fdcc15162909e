import t from 'tap'
import { classify } from '../../src/deliver/classify.ts'
import { HeaderValues } from '../../src/deliver/header-values.ts'
import { answer, send, startDeliverer, startProcessor } from './processor.ts'

const none = new HeaderValues()
const isStandard = (statusCode: number) => [408, 409, 425, 429].includes(statusCode) || statusCode >= 500
const leavesDoubt = (statusCode: number) => [500, 502, 504].includes(statusCode)
const statuses = { retryStatuses: isStandard, unknownStatuses: leavesDoubt }
const always = { retryStatuses: () => true, unknownStatuses: () => true }

t.test('every status has the outcome that the contract gives it', async (t) => {
  for (let statusCode = 0; statusCode <= 999; statusCode += 1) {
    const expected =
      statusCode < 200 || statusCode > 599
        ? 'unknown'
        : statusCode < 300
          ? 'accepted'
          : leavesDoubt(statusCode)
            ? 'unknown'
            : isStandard(statusCode)
              ? 'unavailable'
              : 'refused'
    const outcome = classify(statusCode, none, statuses)
    if (outcome.kind !== expected) t.fail(`${statusCode} is ${outcome.kind} instead of ${expected}`)
  }
})

t.test('a 5xx that the settings do not retry is refused', async (t) => {
  t.strictSame(classify(501, none, { ...statuses, retryStatuses: (statusCode) => statusCode === 503 }), {
    kind: 'refused',
    statusCode: 501,
    reason: 'HTTP 501 Not Implemented',
  })
})

t.test(
  'the settings cannot make a success or an undefined status a retry that is known not to have happened',
  async (t) => {
    t.match(classify(200, none, always), { kind: 'accepted' })
    t.match(classify(999, none, always), { kind: 'unknown', reason: 'HTTP 999, which is no known answer' })
  },
)

t.test(
  'a status that leaves the outcome unknown is a dead letter where the settings do not retry it',
  async (t) => {
    t.strictSame(classify(502, none, { ...statuses, retryStatuses: () => false }), {
      kind: 'unknown',
      statusCode: 502,
      reason: 'HTTP 502 Bad Gateway',
      answer: { isRetried: false },
    })
  },
)

const answers: [name: string, raw: string, outcome: object][] = [
  [
    '200 with HTML',
    answer('200 OK', '<h1>Hi</h1>', 'Content-Type: text/html\r\n'),
    { kind: 'accepted', statusCode: 200 },
  ],
  ['200 with broken JSON', answer('200 OK', '{"a":'), { kind: 'accepted', statusCode: 200 }],
  ['200 without a body', answer('200 OK'), { kind: 'accepted', statusCode: 200 }],
  ['202', answer('202 Accepted', '{}'), { kind: 'accepted', statusCode: 202 }],
  ['204 without a length', 'HTTP/1.1 204 No Content\r\n\r\n', { kind: 'accepted', statusCode: 204 }],
  [
    'an interim answer, then 200',
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${answer('200 OK')}`,
    { kind: 'accepted', statusCode: 200 },
  ],
  [
    '200 that offers an upgrade',
    answer('200 OK', '{}', 'Upgrade: h2c\r\nConnection: Upgrade\r\n'),
    { kind: 'accepted', statusCode: 200 },
  ],
  [
    'a chunked 200',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
    { kind: 'accepted', statusCode: 200 },
  ],
  [
    'a redirect',
    answer('307 Temporary Redirect', '', 'Location: /elsewhere\r\n'),
    { kind: 'refused', statusCode: 307, reason: 'HTTP 307 Temporary Redirect' },
  ],
  ['401', answer('401 Unauthorized'), { kind: 'refused', statusCode: 401, reason: 'HTTP 401 Unauthorized' }],
  [
    '422',
    answer('422 Unprocessable Entity'),
    { kind: 'refused', statusCode: 422, reason: 'HTTP 422 Unprocessable Entity' },
  ],
  [
    '409',
    answer('409 Conflict'),
    { kind: 'unavailable', statusCode: 409, reason: 'HTTP 409 Conflict', retryAfterMs: null },
  ],
  [
    '502 with Retry-After',
    answer('502 Down', '', 'Retry-After: 7\r\n'),
    {
      kind: 'unknown',
      statusCode: 502,
      reason: 'HTTP 502 Bad Gateway',
      answer: { isRetried: true, retryAfterMs: 7_000 },
    },
  ],
  [
    '503 with Retry-After',
    answer('503 Down', '', 'Retry-After: 7\r\n'),
    { kind: 'unavailable', statusCode: 503, reason: 'HTTP 503 Service Unavailable', retryAfterMs: 7_000 },
  ],
  [
    '429 with a negative Retry-After',
    answer('429 Slow', '', 'Retry-After: -7\r\n'),
    { kind: 'unavailable', statusCode: 429, reason: 'HTTP 429 Too Many Requests', retryAfterMs: null },
  ],
  [
    '599',
    answer('599 Odd'),
    { kind: 'unavailable', statusCode: 599, reason: 'HTTP 599', retryAfterMs: null },
  ],
  [
    '600',
    answer('600 Odd'),
    { kind: 'unknown', statusCode: 600, reason: 'HTTP 600, which is no known answer' },
  ],
  [
    '999',
    answer('999 Odd'),
    { kind: 'unknown', statusCode: 999, reason: 'HTTP 999, which is no known answer' },
  ],
]

for (const [name, raw, outcome] of answers) {
  t.test(`over the wire: ${name} has its outcome, and the request is made once`, async (t) => {
    const processor = await startProcessor(t, (socket) => socket.write(raw))
    const deliverer = startDeliverer(t, processor.url)
    t.strictSame(await send(deliverer), outcome)
    t.equal(processor.requests.length, 1)
  })
}

const card = '4111111111111111'

t.test('no part of an answer reaches the reason: a processor may echo the card number', async (t) => {
  const raw = answer(`503 ${card}`, `{"card":"${card}"}\r\n`, `X-Echo: ${card}\r\nRetry-After: ${card}\r\n`)
  const processor = await startProcessor(t, (socket) => socket.write(raw))
  const outcome = await send(startDeliverer(t, processor.url))
  t.strictSame(outcome, {
    kind: 'unavailable',
    statusCode: 503,
    reason: 'HTTP 503 Service Unavailable',
    retryAfterMs: 2 ** 31 - 1,
  })
})

const dirty: [name: string, raw: string][] = [
  ['a terminal code in a header', answer('503 Down', '', `X-Echo: ${card}\u001b[2J\r\n`)],
  ['a terminal code in the status line', answer(`503 ${card}\u001b[2J`)],
  ['a bare line feed in a header', answer('503 Down', '', `X-Echo: ${card}\nX-Two: ${card}\r\n`)],
  ['a NUL in a header name', answer('503 Down', '', `X-\u0000${card}: 1\r\n`)],
]

for (const [name, raw] of dirty) {
  t.test(`${name} leaves a clean reason, whatever the parser makes of it`, async (t) => {
    const processor = await startProcessor(t, (socket) => socket.write(raw))
    const outcome = await send(startDeliverer(t, processor.url))
    t.match(outcome, { reason: /^[\x20-\x7e]{10,200}$/ })
    t.notMatch(JSON.stringify(outcome), /4111/)
    t.comment(JSON.stringify(outcome))
  })
}
