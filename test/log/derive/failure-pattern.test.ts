import t from 'tap'
import { database } from '../../support/database.ts'

t.test('ids and numbers are taken out of a reason, and what the fault is stays', async (t) => {
  const { pool } = await database(t)
  const reasons: [string, string][] = [
    ['HTTP 503 Service Unavailable', 'HTTP 503 Service Unavailable'],
    ['HTTP 422', 'HTTP 422'],
    ['HTTP 999, which is no known answer', 'HTTP 999, which is no known answer'],
    ['timeout, sent, no answer', 'timeout, sent, no answer'],
    ['connection refused (127.0.0.1:8001)', 'connection refused (<n>)'],
    ['connection refused (processor:8001)', 'connection refused (processor:<n>)'],
    ['no answer within 30000 ms (HTTP 200)', 'no answer within <n> ms (HTTP 200)'],
    [
      'tls alert [ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED]',
      'tls alert [ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED]',
    ],
    ['account 12-345 of tx-9f3a is closed', 'account <n> of <id> is closed'],
    ['f81d4fae-7dec-11d0-a765-00a0c91e6bf6 failed', '<id> failed'],
    ['9c858901-8a57-4791-81fe-4c455b099bc9 failed', '<id> failed'],
    ['TX_123 and order7', '<id> and <id>'],
    ['amount 1,234.50 over 1000', 'amount <n> over <n>'],
    [
      'the same transaction id with other bytes: any text, 1',
      'the same transaction id with other bytes: <id>',
    ],
    ['the same transaction id with other bytes: alpha', 'the same transaction id with other bytes: <id>'],
    ['', ''],
  ]
  for (const [reason, pattern] of reasons) {
    const { rows } = await pool.query<{ pattern: string; again: string }>(
      'select failure_pattern($1) as pattern, failure_pattern(failure_pattern($1)) as again',
      [reason],
    )
    t.strictSame(rows, [{ pattern, again: pattern }], reason)
  }
  const { rows } = await pool.query('select failure_pattern(null) as pattern')
  t.strictSame(rows, [{ pattern: null }])
})

t.test('a reason and its shape have the same pattern, and many reasons have one shape', async (t) => {
  const { pool } = await database(t)
  const parts = [
    'HTTP ',
    '422',
    '7',
    '12',
    'a',
    'TLS',
    'ERR_',
    '_',
    '-',
    ' ',
    '.',
    ',',
    ':',
    '(',
    'é',
    'account ',
    ' of tx',
  ]
  const random = seeded(7)
  const reasons = Array.from({ length: 20_000 }, () =>
    Array.from(
      { length: 1 + Math.floor(random() * 7) },
      () => parts[Math.floor(random() * parts.length)],
    ).join(''),
  )
  const { rows } = await pool.query<{ reason: string }>(
    `select reason from unnest($1::text[]) reason
     where failure_pattern(failure_shape(reason)) is distinct from failure_pattern(reason)`,
    [reasons],
  )
  t.strictSame(rows, [])
  const alike = Array.from({ length: 1_000 }, (_, n) => [
    `HTTP 422: account ${n} is closed`,
    `no answer within ${n} ms, request ${7 * n} was sent`,
    'HTTP 503',
    null,
  ])
  const shapes = await pool.query('select distinct failure_shape(reason) from unnest($1::text[]) reason', [
    alike.flat(),
  ])
  t.equal(shapes.rowCount, 4)
})

/** The same numbers in [0, 1) for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

t.test('a reason as long as one may be takes no noticeable time', async (t) => {
  const { pool } = await database(t)
  const hostile = ['1-'.repeat(1_024), 'a'.repeat(2_047) + '1', 'A_'.repeat(1_023) + '1', 'A1_'.repeat(682)]
  // Ends by the statement's own bound if a pattern backtracks without end.
  await pool.query('set statement_timeout = 2000')
  for (const reason of hostile) {
    const { rows } = await pool.query<{ pattern: string }>('select failure_pattern($1) as pattern', [reason])
    t.ok(rows[0]!.pattern.length <= 500, 'and its pattern fits into an index')
  }
})
