import t from 'tap'
import { statement } from '../../src/log/read/list-transactions.ts'
import { database } from '../support/database.ts'
import { startService, store, storeDeadLetters } from './service.ts'

t.test('the newest come first, with the founding keys and times to the microsecond', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await storeDeadLetters(pool, ['refused'])
  await store(pool, ['open'], { room: 1 })
  await store(pool, ['waiting'])
  const { json } = await call('GET', '/transactions')
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
  const times = { created_at: time, updated_at: time }
  t.match(json, [
    { transaction_id: 'waiting', status: 'pending', retry_count: 0, error_message: null, ...times },
    { transaction_id: 'open', status: 'processing', retry_count: 0, error_message: null, ...times },
    { transaction_id: 'refused', status: 'dead_letter', retry_count: 0, error_message: /422/, ...times },
  ])
  t.equal((json as unknown[]).length, 3)
  t.strictSame(Object.keys((json as object[])[0]!), [
    'transaction_id',
    'status',
    'retry_count',
    'error_message',
    'created_at',
    'updated_at',
  ])
})

t.test('a time is the database’s own, whatever the session’s zone', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await store(pool, ['a'])
  await pool.query(`do $$ begin execute format('alter database %I set timezone = %L', current_database(),
    'Asia/Kathmandu'); end $$`)
  // Sessions take the zone when they begin.
  for (const client of await Promise.all(Array.from({ length: pool.totalCount }, () => pool.connect()))) {
    client.release(true)
  }
  const { rows } = await pool.query<{ zone: string; created: string; printed: string }>(
    `select current_setting('timezone') as zone, extract(epoch from created_at)::text as created,
      extract(epoch from $1::timestamptz)::text as printed from messages`,
    [((await call('GET', '/transactions')).json as { created_at: string }[])[0]!.created_at],
  )
  t.equal(rows[0]!.zone, 'Asia/Kathmandu')
  t.equal(rows[0]!.printed, rows[0]!.created)
})

t.test('limit is 20 unless given, from 1 to 1000, and anything else is refused', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await store(
    pool,
    Array.from({ length: 25 }, (_, at) => `tx-${at}`),
  )
  const count = async (query: string) =>
    ((await call('GET', `/transactions${query}`)).json as unknown[]).length
  t.equal(await count(''), 20)
  t.equal(await count('?limit=1'), 1)
  t.equal(await count('?limit=1000&other=x'), 25)
  for (const limit of [
    '0',
    '1001',
    '-1',
    '1e2',
    '2.0',
    '',
    'ten',
    '%201',
    '1&limit=2',
    '1000000000',
    '%zz',
  ]) {
    t.match(
      await call('GET', `/transactions?limit=${limit}`),
      { status: 400, json: { detail: 'limit must be a whole number from 1 to 1000.' } },
      limit,
    )
  }
})

t.test('the list reads no payloads and does not sort the table', async (t) => {
  const { pool } = await database(t)
  await store(
    pool,
    Array.from({ length: 500 }, (_, at) => `tx-${at}`),
  )
  const { rows } = await pool.query<Record<string, string>>(`explain (costs off) ${statement.text}`, [20])
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
  t.match(plan, 'Index Scan Backward using message_states_s1_pkey')
  t.notMatch(plan, /records|Sort/)
})
