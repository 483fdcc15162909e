import t from 'tap'
import { accepted, settleOne } from '../log/support.ts'
import { database } from '../support/database.ts'
import { connectThroughProxy, startService, store, storeDeadLetters } from './service.ts'

const body = JSON.stringify({ operator: 'alice', reason: 'asked to be forgotten' })

t.test('a dead letter or a success is expunged, and asked again answered as before', async (t) => {
  const { pool } = await database(t)
  const { call, lines } = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  const answer = { success: true, transaction_id: 'tx-1', status: 'dead_letter', version: 5 }
  t.match(await call('POST', '/expunge/tx-1', { body }), {
    status: 200,
    json: { ...answer, message: 'The payload of tx-1 is expunged.' },
  })
  t.match(await call('POST', '/expunge/tx-1', { body }), {
    status: 200,
    json: { ...answer, message: 'The payload of tx-1 was expunged before.' },
  })
  const { rows } = await pool.query(`select actor, reason from message_events where type = 'expunged'`)
  t.strictSame(rows, [{ actor: 'alice', reason: 'asked to be forgotten' }])
  t.match(lines, [
    { event: 'expunge', transaction_id: 'tx-1', operator: 'alice', answer: 'expunged' },
    { event: 'expunge', answer: 'already' },
  ])
  t.match(await call('POST', '/replay/tx-1'), {
    status: 409,
    json: { detail: 'The payload of tx-1 was expunged: there are no bytes to send.' },
  })
})

t.test('it cannot be undone, so without a reason nothing is done', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  for (const given of [
    undefined,
    '{}',
    '{"reason": null}',
    '{"reason": ""}',
    '{"reason": "a\\nb"}',
    '{',
    '[]',
  ])
    t.match(
      await call('POST', '/expunge/tx-1', given === undefined ? {} : { body: given }),
      { status: 400, json: { detail: String } },
      String(given),
    )
  const { rows } = await pool.query(`select from message_events where type = 'expunged'`)
  t.equal(rows.length, 0)
})

t.test('what is unknown is 404, and what may still be sent is 409 with its status', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const [claim] = await store(pool, ['delivered', 'open'], { room: 2 })
  await settleOne(pool, 'instance-1/fresh', claim!.messageId, 1, accepted)
  t.match(await call('POST', '/expunge/nobody', { body }), { status: 404, json: { detail: /is unknown/ } })
  t.match(await call('POST', '/expunge/a%00b', { body }), { status: 404 })
  t.match(await call('POST', '/expunge/open', { body }), { status: 409, json: { detail: /is processing/ } })
  t.match(await call('POST', '/expunge/delivered', { body }), { status: 200, json: { status: 'success' } })
  t.equal((await call('GET', '/expunge/delivered')).status, 405)
})

t.test('without the database it says that it may have been done, and may be asked again', async (t) => {
  const { pool, url } = await database(t)
  const { pool: through, proxy } = await connectThroughProxy(t, url)
  const { call } = await startService(t, through)
  await storeDeadLetters(pool, ['tx-1'])
  await proxy.stop()
  t.match(await call('POST', '/expunge/tx-1', { body }), {
    status: 503,
    json: { detail: /can safely be sent again/ },
  })
})
