import { createHash } from 'node:crypto'
import t from 'tap'
import { database } from '../../support/database.ts'
import {
  accepted,
  deadLetter,
  exhausted,
  fresh,
  idOf,
  openAttempt,
  record,
  refused,
  rejectedRecord,
  retry,
  settleOne,
  startAttempt,
  store,
  topic,
  unavailable,
  unknown,
} from '../../log/support.ts'
import { startService } from '../service.ts'
import { dataOf, graphql, refusalOf } from './graphql.ts'

const everything = `
  id transactionId status retryCount attempts version errorMessage nextDueAt held resolution createdAt updatedAt replayable outcomeUnknown
  idempotencyKey deadLetterCause deadLetteredAt lastOutcome lastStatusCode failurePattern conflictCount
  conflicts { transactionId } conflictsWith { transactionId }
  payload { text json base64 bytes sha256 state }
  source { topic partition offset key keyBase64 headerCount timestamp headers { name value valueBase64 } }
  history { id version type recordedAt actor lane attempt outcome statusCode durationMs reason resolution evidence nextDueAt status retryCount
    source { offset key } conflict { transactionId } message { transactionId } }`

type Fields = Record<string, unknown>
type Entry = Fields & { version: number; recordedAt: string }
type Shown = Fields & { history: Entry[] }

async function ask(
  service: Parameters<typeof dataOf>[0],
  transactionId: string,
  fields = everything,
): Promise<Shown | null> {
  const query = `query ($id: ID!) { message(transactionId: $id) { ${fields} } }`
  return (await dataOf<{ message: Shown | null }>(service, query, { id: transactionId })).message
}

t.test('a message tells all that is known of it', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const bytes = '{"transaction_id": "tx-a", "amount": 10.10, "n": 9007199254740993}'
  await store(
    pool,
    [
      record(0, 'tx-a', {
        payload: Buffer.from(bytes),
        payloadBytes: bytes.length,
        sha256: createHash('sha256').update(bytes).digest(),
        key: Buffer.from('customer-7'),
        headers: JSON.stringify([
          ['source', Buffer.from('web').toString('base64')],
          ['source', Buffer.from([0xff]).toString('base64')],
          ['empty', null],
        ]),
        timestampMs: 1_700_000_000_123n,
      }),
    ],
    { partition: 3, room: 1 },
  )
  const messageId = await idOf(pool, 'tx-a')
  await settleOne(pool, fresh, messageId, 1, unavailable)
  const message = await ask(service, 'tx-a')
  t.match(message, {
    id: messageId,
    transactionId: 'tx-a',
    status: 'FAILED',
    retryCount: 1,
    attempts: 1,
    version: 3,
    errorMessage: 'HTTP 503',
    nextDueAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/,
    held: false,
    resolution: null,
    replayable: false,
    outcomeUnknown: false,
    idempotencyKey: /^[a-z2-7]{32}$/,
    deadLetterCause: null,
    deadLetteredAt: null,
    lastOutcome: 'UNAVAILABLE',
    lastStatusCode: 503,
    failurePattern: 'HTTP 503',
    conflictCount: 0,
    conflicts: [],
    conflictsWith: null,
    payload: {
      text: bytes,
      json: { transaction_id: 'tx-a', amount: 10.1 },
      base64: Buffer.from(bytes).toString('base64'),
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      state: 'WHOLE',
    },
    source: {
      topic,
      partition: 3,
      offset: '0',
      key: 'customer-7',
      keyBase64: Buffer.from('customer-7').toString('base64'),
      headerCount: 3,
      timestamp: '2023-11-14T22:13:20.123000Z',
      headers: [
        { name: 'source', value: 'web', valueBase64: 'd2Vi' },
        { name: 'source', value: null, valueBase64: '/w==' },
        { name: 'empty', value: null, valueBase64: null },
      ],
    },
  })
  t.match(message!.history, [
    {
      id: `${messageId}:1`,
      version: 1,
      type: 'RECEIVED',
      status: 'PENDING',
      source: { offset: '0', key: 'customer-7' },
    },
    { version: 2, type: 'ATTEMPT_STARTED', lane: 'FRESH', attempt: 1, nextDueAt: null, source: null },
    {
      version: 3,
      type: 'ATTEMPT_FAILED',
      outcome: 'UNAVAILABLE',
      statusCode: 503,
      durationMs: 12,
      reason: 'HTTP 503',
    },
  ])
  t.equal(message!.history[2]!.nextDueAt, message!.nextDueAt)
  t.strictSame(message!.history[0]!.message, { transactionId: 'tx-a' })
})

t.test('no status ever shows the end of a lease as the next time', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const messageId = await openAttempt(pool)
  const [{ transaction_id: id }] = (
    await pool.query<{ transaction_id: string }>(
      'select transaction_id from messages where message_id = $1',
      [messageId],
    )
  ).rows as [{ transaction_id: string }]
  t.match(await ask(service, id), { status: 'PROCESSING', nextDueAt: null })
  await settleOne(pool, fresh, messageId, 1, accepted)
  t.match(await ask(service, id), {
    status: 'SUCCESS',
    nextDueAt: null,
    errorMessage: null,
    failurePattern: null,
    lastOutcome: 'ACCEPTED',
    lastStatusCode: 200,
  })
})

t.test('why a message is a dead letter is told apart, and whether it can be replayed', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await store(pool, [record(0, 'refused'), record(1, 'exhausted')], { partition: 1, room: 2 })
  await settleOne(pool, fresh, await idOf(pool, 'refused'), 1, refused, deadLetter)
  await settleOne(pool, fresh, await idOf(pool, 'exhausted'), 1, unknown, exhausted)
  await store(pool, [rejectedRecord(0, 'nonsense', 2), record(1, 'refused', { bytes: 'other' })], {
    partition: 2,
  })
  const fields = 'status replayable deadLetterCause deadLetteredAt lastOutcome outcomeUnknown errorMessage'
  const at = /Z$/
  t.match(await ask(service, 'refused', fields), {
    replayable: true,
    deadLetterCause: 'REFUSED',
    deadLetteredAt: at,
    lastOutcome: 'REFUSED',
    outcomeUnknown: false,
  })
  t.match(await ask(service, 'exhausted', fields), {
    replayable: true,
    deadLetterCause: 'RETRIES_EXHAUSTED',
    deadLetteredAt: at,
    outcomeUnknown: true,
  })
  t.match(await ask(service, `record:${topic}:2:0`, fields), {
    replayable: false,
    deadLetterCause: 'REJECTED_RECORD',
    deadLetteredAt: at,
    lastOutcome: null,
  })
  t.match(await ask(service, `record:${topic}:2:1`, fields), {
    replayable: false,
    deadLetterCause: 'CONFLICTING_RECORD',
    deadLetteredAt: at,
  })
})

t.test('a conflict is linked both ways, and each record is exactly one event', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await store(pool, [record(0, 'tx-a', { key: Buffer.from('k0') })], { partition: 1 })
  await store(
    pool,
    [
      record(1, 'tx-a', { bytes: 'other', key: Buffer.from('k1') }),
      record(2, 'tx-a', { key: Buffer.from('k2') }),
      record(3, 'tx-a', { bytes: 'third', key: Buffer.from('k3') }),
      rejectedRecord(4, 'nonsense', 1),
      record(5, 'tx-b'),
    ],
    { partition: 1 },
  )
  const conflicting = `record:${topic}:1:1`
  t.match(await ask(service, 'tx-a'), {
    conflictCount: 2,
    conflicts: [{ transactionId: conflicting }, { transactionId: `record:${topic}:1:3` }],
    conflictsWith: null,
    history: [
      { type: 'RECEIVED', conflict: null },
      {
        type: 'CONFLICT_RECEIVED',
        conflict: { transactionId: conflicting },
        source: { offset: '1', key: 'k1' },
      },
      { type: 'DUPLICATE_RECEIVED', conflict: null, source: { offset: '2', key: 'k2' } },
      { type: 'CONFLICT_RECEIVED', source: { offset: '3', key: 'k3' } },
    ],
  })
  t.match(await ask(service, 'tx-a', 'conflicts(first: 1) { transactionId }'), {
    conflicts: [{ transactionId: conflicting }],
  })
  t.match(await ask(service, conflicting), {
    status: 'DEAD_LETTER',
    conflictCount: 0,
    conflicts: [],
    conflictsWith: { transactionId: 'tx-a' },
    source: { offset: '1', key: 'k1' },
    history: [{ type: 'CONFLICT_RECEIVED', conflict: { transactionId: 'tx-a' } }],
  })
  const query = `query ($partition: Int!, $offset: BigInt!) {
    record(topic: "${topic}", partition: $partition, offset: $offset) { transactionId type version source { offset key } }
  }`
  const events = []
  for (const offset of [0, 1, 2, 3, 4, 5, 6]) {
    events.push((await dataOf<{ record: unknown }>(service, query, { partition: 1, offset })).record)
  }
  t.match(events, [
    { transactionId: 'tx-a', type: 'RECEIVED', version: 1, source: { offset: '0' } },
    { transactionId: conflicting, type: 'CONFLICT_RECEIVED', version: 1 },
    { transactionId: 'tx-a', type: 'DUPLICATE_RECEIVED', version: 3, source: { key: 'k2' } },
    { transactionId: `record:${topic}:1:3`, type: 'CONFLICT_RECEIVED', version: 1 },
    { transactionId: `record:${topic}:1:4`, type: 'REJECTED', version: 1 },
    { transactionId: 'tx-b', type: 'RECEIVED', version: 1 },
    null,
  ])
  t.strictSame(await dataOf(service, query, { partition: 9, offset: '1' }), { record: null })
  t.strictSame(await dataOf(service, query, { partition: 1, offset: '-1' }), { record: null })
})

t.test('any id can be asked for, and no other is taken for it', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const ids = [`it's "quoted"`, '50%', '_', 'a\\b', 'ünï', "x' or ''='", '__proto__', '\ufffd', 'A', '7']
  await store(
    pool,
    ids.map((id, at) => record(at, id)),
    { partition: 1 },
  )
  for (const id of ids) t.strictSame(await ask(service, id, 'transactionId'), { transactionId: id })
  for (const id of ['', 'a', '5%', '%', 'a\0b', '\0', '\ud800', 'x'.repeat(10_000)]) {
    t.equal(await ask(service, id, 'id'), null, JSON.stringify(id.slice(0, 20)))
  }
  t.strictSame(await dataOf(service, '{ message(transactionId: 7) { transactionId } }'), {
    message: { transactionId: '7' },
  })
})

t.test('asOf is the message as it was at that instant, that instant included', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await store(pool, [record(0, 'tx-a')], { partition: 1, room: 1 })
  const messageId = await idOf(pool, 'tx-a')
  const fields = 'status retryCount attempts version errorMessage nextDueAt held resolution outcomeUnknown'
  const now: Fields[] = [(await ask(service, 'tx-a', fields))!]
  const step = async (act: Promise<unknown>) => {
    await act
    now.push((await ask(service, 'tx-a', fields))!)
  }
  await step(settleOne(pool, fresh, messageId, 1, unavailable))
  await step(startAttempt(pool, messageId, retry))
  await step(settleOne(pool, retry, messageId, 2, unknown, deadLetter))
  await step(settleOne(pool, fresh, messageId, 1, accepted))
  const { history } = (await ask(service, 'tx-a'))!
  t.strictSame(
    now.map(({ outcomeUnknown }) => outcomeUnknown),
    [false, false, false, true, true],
  )
  for (const state of now) {
    const at = history.find((event) => event.version === state.version)!.recordedAt
    t.match(await ask(service, 'tx-a', `asOf(time: "${at}") { ${fields} at }`), { asOf: { ...state, at } })
  }
  const first = history[0]!.recordedAt
  const before = `${first.slice(0, 19)}Z`
  t.strictSame(await ask(service, 'tx-a', `asOf(time: "${before}") { status }`), {
    asOf: first.slice(19) === '.000000Z' ? { status: 'PENDING' } : null,
  })
  t.match(await ask(service, 'tx-a', `asOf(time: "9999-01-01T00:00:00+01:00") { version at }`), {
    asOf: { version: now.at(-1)!.version, at: '9998-12-31T23:00:00.000000Z' },
  })
})

t.test('history goes by version, and is bounded', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await store(pool, [record(0, 'tx-a'), ...[1, 2, 3, 4].map((at) => record(at, 'tx-a'))], { partition: 1 })
  const versions = async (args: string) =>
    (await ask(service, 'tx-a', `history${args} { version }`))!.history.map((event) => event.version)
  t.strictSame(await versions(''), [1, 2, 3, 4, 5])
  t.strictSame(await versions('(first: 2)'), [1, 2])
  t.strictSame(await versions('(afterVersion: 3, first: 1000)'), [4, 5])
  t.strictSame(await versions('(afterVersion: -5, first: 1)'), [1])
  t.strictSame(await versions('(first: 0)'), [])
  for (const first of [-1, 1_001, 1_000_000_000]) {
    const query = `{ message(transactionId: "tx-a") { id history(first: ${first}) { id } } }`
    t.match(await refusalOf(service, query), { code: 'BAD_USER_INPUT', message: /from 0 to 1000/ })
    t.match(
      (await graphql(service, query)).data,
      { message: { id: String, history: null } },
      'the rest is answered',
    )
  }
})

t.test(
  'a payload that is no UTF-8, no JSON, too deep or too large for JSON is shown as far as it can be',
  async (t) => {
    const { pool } = await database(t)
    const service = await startService(t, pool)
    const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
    const long = `"${'x'.repeat(1024 * 1024)}"`
    const values: [Buffer, Fields][] = [
      [Buffer.from([0xff, 0xfe]), { text: null, json: null, base64: '//4=', bytes: 2 }],
      [Buffer.from('\ufeff{}'), { text: '\ufeff{}', json: null }],
      [Buffer.from(deep(64)), { text: deep(64), json: Array }],
      [Buffer.from(deep(65)), { text: deep(65), json: null }],
      [Buffer.from(`["${deep(70)}\\"["]`), { json: [`${deep(70)}"[`] }],
      [Buffer.from(long), { json: null, bytes: long.length }],
      [Buffer.from('{"a": "\\u0000", "__proto__": 1}'), { json: { a: '\0' } }],
      [Buffer.from('null'), { text: 'null', json: null, state: 'WHOLE' }],
    ]
    const records = values.map(([payload], at) =>
      record(at, `tx-${at}`, {
        payload,
        isJson: false,
        sha256: createHash('sha256').update(payload).digest(),
        payloadBytes: payload.length,
      }),
    )
    const cut = {
      payloadState: 'cut',
      payloadBytes: 20_000_000,
      payload: Buffer.from('{"cut'),
      isJson: false,
    } as const
    const absent = {
      payloadState: 'absent',
      payloadBytes: 0,
      payload: null,
      isJson: false,
    } as unknown as Partial<ReturnType<typeof record>>
    await store(
      pool,
      [...records, record(values.length, 'cut', cut), { ...record(values.length + 1, 'absent'), ...absent }],
      { partition: 1 },
    )
    for (const [at, [, expected]] of values.entries()) {
      t.match(
        await ask(service, `tx-${at}`, 'payload { text json base64 bytes sha256 state }'),
        { payload: expected },
        `tx-${at}`,
      )
    }
    t.match(await ask(service, 'cut', 'payload { text bytes state }'), {
      payload: { text: '{"cut', bytes: 20_000_000, state: 'CUT' },
    })
    t.match(await ask(service, 'absent', 'payload { text json base64 bytes state }'), {
      payload: { text: null, json: null, base64: null, bytes: null, state: 'ABSENT' },
    })
  },
)

t.test('the bytes of one answer are bounded, and what does not fit says so and nothing else', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const payload = Buffer.alloc(9 * 1024 * 1024, 'x')
  for (const at of [0, 1, 2]) {
    await store(pool, [record(at, `large-${at}`, { payload, payloadBytes: payload.length, isJson: false })], {
      partition: 1,
    })
  }
  const query = `{ messages(orderBy: CREATED_ASC) { nodes { transactionId payload { bytes text state } } } }`
  const { data, errors } = await graphql(service, query)
  const { nodes } = data!.messages as { nodes: { payload: { text: string | null; bytes: number } }[] }
  t.strictSame(
    nodes.map((node) => [node.payload.bytes, node.payload.text?.length ?? null]),
    [
      [payload.length, payload.length],
      [payload.length, null],
      [payload.length, null],
    ],
  )
  t.match(errors, [
    {
      path: ['messages', 'nodes', 1, 'payload', 'text'],
      extensions: { code: 'BAD_USER_INPUT' },
      message: /fewer messages/,
    },
    { path: ['messages', 'nodes', 2, 'payload', 'text'] },
  ])
  const each = '{ a: message(transactionId: "large-2") { payload { text base64 } } }'
  t.match(await graphql(service, each), {
    data: { a: { payload: { text: String, base64: String } } },
    errors: undefined,
  })
})
