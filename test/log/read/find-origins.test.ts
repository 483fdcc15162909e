import t from 'tap'
import { findOrigins } from '../../../src/log/read/find-origins.ts'
import { replay } from '../../../src/log/write/replay.ts'
import { store, storeDeadLetters } from '../../api/service.ts'
import { database } from '../../support/database.ts'

t.test('where messages come from is told of each', async (t) => {
  const { pool } = await database(t)
  const [claim] = await store(pool, ['pay-1'], { room: 1 })
  await storeDeadLetters(pool, ['pay-2'])
  const { rows } = await pool.query<{ message_id: string }>(
    `select message_id from messages where transaction_id = 'pay-2'`,
  )
  const replayed = rows[0]!.message_id as NonNullable<typeof claim>['messageId']
  await replay(pool, { transactionId: 'pay-2', actor: 'olga', reason: 'back', requestKey: null })
  const found = await findOrigins(pool, [claim!.messageId, replayed])
  t.match(found.get(claim!.messageId), { traceparent: null, replayedBy: null })
  t.match(found.get(replayed), { traceparent: null, headers: null, replayedBy: 'operator' })
  t.equal(found.size, 2)
})

t.test(
  'of the headers only those with a tracestate are held beside an attempt, and not those that are large',
  async (t) => {
    const { pool } = await database(t)
    const encode = (text: string) => Buffer.from(text).toString('base64')
    const tracestate = ['tracestate', encode('vendor=a1')]
    const traced = JSON.stringify([tracestate, ['tenant', encode('7')]])
    for (const [headers, held] of [
      [traced, traced],
      [JSON.stringify([['tenant', encode('tracestate')]]), null],
      [JSON.stringify([tracestate, ['tenant', encode('7'.repeat(1_000_000))]]), null],
      [null, null],
    ] as const) {
      const [claim] = await store(pool, [`pay-${headers?.length ?? 0}`], { room: 1, headers })
      t.equal(claim!.headers, held)
      // The record's traceparent was taken from its headers as it came.
      await pool.query('alter table records disable trigger all')
      await pool.query(`update records set traceparent = 'any' where message_id = $1`, [claim!.messageId])
      const found = await findOrigins(pool, [claim!.messageId])
      t.equal(found.get(claim!.messageId)?.headers, held)
    }
  },
)

t.test('a plan of a small log scans no table, for it is kept while the log grows', async (t) => {
  const { pool } = await database(t)
  const claims = await store(pool, ['pay-1', 'pay-2', 'pay-3'], { room: 3 })
  await pool.query('analyze records, message_events')
  const client = await pool.connect()
  await client.query('begin')
  // The fifth use of a prepared statement is the last one with a plan of its own.
  for (let use = 1; use <= 7; use += 1)
    await findOrigins(
      client,
      claims.map(({ messageId }) => messageId),
    )
  const { rows } = await client.query<{ relname: string }>(
    `select relname from pg_stat_xact_user_tables where seq_scan > 0`,
  )
  await client.query('rollback')
  client.release()
  t.same(rows, [])
})
