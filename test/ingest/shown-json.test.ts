import fc from 'fast-check'
import t from 'tap'
import { decode } from '../../src/ingest/decode.ts'
import { ingest } from '../../src/log/write/ingest.ts'
import { database } from '../support/database.ts'

t.test('PostgreSQL shows every value that is called JSON, character for character', async (t) => {
  const { pool } = await database(t)
  const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  const inner = [
    '"\\u0000"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '1e400',
    `1e${'9'.repeat(5_000)}`,
    `[${'1e131071,'.repeat(400)}0]`,
    '9007199254740993',
    '10.10',
    '-0',
    '{"a":1,"a":2,"__proto__":3}',
    '"\u007f\u0085\u2028\ufeff\ufffe\uffff"',
    '"\u{10ffff}"',
    deep(999),
    ...fc.sample(fc.json({ maxDepth: 3 }), 200),
  ]
  const values = inner.map((json, at) => `{"transaction_id":"tx-${at}","inner":${json}}`)
  const records = values.map((value, at) => {
    const record = {
      key: null,
      value: Buffer.from(value),
      timestamp: '1',
      attributes: 0,
      offset: String(at),
      headers: {},
    }
    return decode(record, 'topic', 0, 1_000_000)
  })
  for (const [at, record] of records.entries()) t.ok(record.isJson, `value ${at}`)
  const next = BigInt(records.length)
  await ingest(
    pool,
    { topic: 'topic', partition: 0, incarnation: 1, first: 0n, next, records, holes: [] },
    { actor: 'me', lane: 'me', room: 0, leaseMs: 1_000 },
  )
  const { rows } = await pool.query<{ payload: string }>(
    'select payload::text from messages order by message_id',
  )
  t.strictSame(
    rows.map((row) => row.payload),
    values,
  )
})
