import t from 'tap'
import { listTransactions } from '../../../src/log/read/list-transactions.ts'
import { database } from '../../support/database.ts'
import {
  accepted,
  deadLetter,
  fresh,
  idOf,
  newName,
  openAttempt,
  pendingMessage,
  record,
  rejectedRecord,
  retry,
  retryAtOnce,
  settleOne,
  startAttempt,
  stateOf,
  store,
  topic,
  unavailable,
} from '../support.ts'

const { pool } = await database(t)

type Row = Record<string, unknown>

async function view(messageId: string): Promise<Row> {
  const { rows } = await pool.query<Row>('select * from messages where message_id = $1', [messageId])
  return rows[0]!
}

t.test('the view has the founding eight columns first, in text and integers', async (t) => {
  const { rows } = await pool.query<{ name: string; type: string }>(
    `select attname as name, format_type(atttypid, null) as type from pg_attribute
     where attrelid = 'messages'::regclass and attnum > 0 order by attnum`,
  )
  t.strictSame(
    rows.map((row) => `${row.name} ${row.type}`),
    [
      'transaction_id text',
      'payload json',
      'status text',
      'retry_count integer',
      'error_message text',
      'next_retry_at timestamp with time zone',
      'created_at timestamp with time zone',
      'updated_at timestamp with time zone',
      'message_id bigint',
      'version integer',
      'attempts integer',
      'outcome_unknown boolean',
      'on_hold boolean',
      'resolution text',
      'reference text',
    ],
  )
})

t.test('the payload is shown digit for digit', async (t) => {
  const text = '{"z":1, "amount":10.10,"a":9007199254740993,"a":1e400,"\\u0000":"\\ud800"}'
  const name = newName()
  await store(pool, [record(0, name, { payload: Buffer.from(text), payloadBytes: text.length })])
  const { rows } = await pool.query<{ payload: string }>(
    'select payload::text as payload from messages where transaction_id = $1',
    [name],
  )
  t.equal(rows[0]?.payload, text)
})

t.test('a payload that cannot be shown is null, and no select fails for it', async (t) => {
  const invalid = Buffer.from([0x7b, 0xff, 0x7d])
  const cut = Buffer.from('{"transaction_id": "cut here')
  await store(
    pool,
    [
      { ...rejectedRecord(0, 'x', 50), payload: invalid },
      { ...rejectedRecord(1, 'x', 50), payload: cut, payloadState: 'cut', payloadBytes: 99, isJson: true },
      { ...rejectedRecord(2, 'x', 50), payload: null, payloadState: 'absent', payloadBytes: 0 },
    ],
    { partition: 50 },
  )
  const { rows } = await pool.query('select payload from messages where transaction_id like $1', [
    `record:${topic}:50:%`,
  ])
  t.strictSame(rows, [{ payload: null }, { payload: null }, { payload: null }])
  await pool.query('select * from messages')
})

t.test('the payload of a message with duplicates stands once, and is the first one’s', async (t) => {
  const name = newName()
  await store(pool, [record(0, name), record(1, name), record(2, name, { bytes: 'other' })])
  const { rows } = await pool.query('select payload from messages where transaction_id = $1', [name])
  t.strictSame(rows, [{ payload: { transaction_id: name, bytes: 'first' } }])
})

t.test('next_retry_at is the retry time while failed, never a lease end', async (t) => {
  const pending = await pendingMessage(pool)
  t.equal((await view(pending)).next_retry_at, null)
  const messageId = await openAttempt(pool)
  t.equal((await view(messageId)).next_retry_at, null)
  await settleOne(pool, fresh, messageId, 1, unavailable, { then: 'retry', delayMs: 60_000 })
  t.strictSame((await view(messageId)).next_retry_at, (await stateOf(pool, messageId)).due_at)
  await startAttempt(pool, messageId, retry)
  t.equal((await view(messageId)).next_retry_at, null)
  await settleOne(pool, retry, messageId, 2, unavailable, deadLetter)
  t.equal((await view(messageId)).next_retry_at, null)
})

t.test('error_message is the last failure’s, kept by an attempt, null on success and replay', async (t) => {
  const messageId = await openAttempt(pool)
  t.equal((await view(messageId)).error_message, null)
  await settleOne(pool, fresh, messageId, 1, { ...unavailable, reason: 'first' }, retryAtOnce)
  t.equal((await view(messageId)).error_message, 'first')
  await startAttempt(pool, messageId, retry)
  t.equal((await view(messageId)).error_message, 'first')
  await settleOne(pool, retry, messageId, 2, { ...unavailable, reason: 'second' }, deadLetter)
  t.equal((await view(messageId)).error_message, 'second')
  const { transaction_id } = await stateOf(pool, messageId)
  await store(pool, [record(0, transaction_id), record(1, transaction_id, { bytes: 'other' })])
  t.equal((await view(messageId)).error_message, 'second')
  await pool.query(`select replay_messages(array[$1], 'alice', 'again', null)`, [transaction_id])
  t.equal((await view(messageId)).error_message, null)
  await startAttempt(pool, messageId, fresh)
  await settleOne(pool, fresh, messageId, 3, { ...unavailable, reason: 'third' }, retryAtOnce)
  await startAttempt(pool, messageId, retry)
  await settleOne(pool, retry, messageId, 4, accepted)
  t.match(await view(messageId), { error_message: null, status: 'success', attempts: 4, retry_count: 1 })
})

t.test(
  'updated_at is of the last event that changed status, retries or attempts; created_at stays',
  async (t) => {
    const messageId = await openAttempt(pool)
    const opened = await view(messageId)
    const { transaction_id } = await stateOf(pool, messageId)
    await store(pool, [record(0, transaction_id), record(1, transaction_id, { bytes: 'other' })])
    t.match(await view(messageId), { version: 4, updated_at: opened.updated_at })
    await settleOne(pool, fresh, messageId, 1, unavailable)
    const { rows } = await pool.query<{ recorded_at: Date }>(
      'select recorded_at from message_events where message_id = $1 and version = 5',
      [messageId],
    )
    t.match(await view(messageId), { updated_at: rows[0]!.recorded_at, created_at: opened.created_at })
  },
)

t.test('listed are the newest first, with six digits of the second in UTC', async (t) => {
  const ids = [await pendingMessage(pool), await openAttempt(pool)]
  const listed = await listTransactions(pool, 2)
  const names = await Promise.all(ids.map(async (id) => (await stateOf(pool, id)).transaction_id))
  t.strictSame(
    listed.map((row) => row.transaction_id),
    names.toReversed(),
  )
  t.strictSame(Object.keys(listed[0]!), [
    'transaction_id',
    'status',
    'retry_count',
    'error_message',
    'created_at',
    'updated_at',
  ])
  t.match(listed[0]!.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  t.equal(await idOf(pool, listed[1]!.transaction_id), ids[0])
})
