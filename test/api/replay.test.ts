import t from 'tap'
import type { Pool } from 'pg'
import { accepted, settleOne } from '../log/support.ts'
import { database } from '../support/database.ts'
import { graphql } from './graphql/graphql.ts'
import { connectThroughProxy, startService, store, storeDeadLetters, storeInDoubt } from './service.ts'

async function readReplays(pool: Pool, transactionId: string) {
  const { rows } = await pool.query<{ actor: string; reason: string; request_key: string | null }>(
    `select e.actor, e.reason, e.request_key from message_events e join messages m using (message_id)
     where m.transaction_id = $1 and e.type = 'replayed' order by e.version`,
    [transactionId],
  )
  return rows
}

t.test('a dead letter is pending again, in the name of rest where no operator is given', async (t) => {
  const { pool } = await database(t)
  const { call, lines } = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  t.match(await call('POST', '/replay/tx-1'), {
    status: 200,
    json: { success: true, message: /tx-1/, transaction_id: 'tx-1', status: 'pending', version: 5 },
  })
  t.strictSame(await readReplays(pool, 'tx-1'), [{ actor: 'rest', reason: 'none given', request_key: null }])
  t.match((await call('GET', '/transactions')).json, [
    { transaction_id: 'tx-1', status: 'pending', retry_count: 0, error_message: null },
  ])
  t.match(lines, [{ event: 'replay', transaction_id: 'tx-1', operator: 'rest', answer: 'replayed' }])
})

t.test('the body names the operator and the reason', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const ids = ['a', 'b', 'c']
  await storeDeadLetters(pool, ids)
  const reason = `<b>"limit" raised</b> 'ü' ${'x'.repeat(2_048 - 27)}`
  t.equal(Buffer.byteLength(reason), 2_048)
  const bodies = [{ operator: 'alice', reason }, { operator: null, reason: null }, { unknown: true }]
  for (const [at, body] of bodies.entries()) {
    t.equal((await call('POST', `/replay/${ids[at]!}`, { body: JSON.stringify(body) })).status, 200)
  }
  t.match(await readReplays(pool, 'a'), [{ actor: 'alice', reason }])
  t.match(await readReplays(pool, 'b'), [{ actor: 'rest', reason: 'none given' }])
})

t.test('where reasons are required, a replay without one is refused, and nothing is replayed', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool, undefined, undefined, { reasonsRequired: true })
  await storeDeadLetters(pool, ['tx-1'])
  for (const body of [undefined, '{}', '{"reason": null}', '{"operator": "alice"}'])
    t.match(await call('POST', '/replay/tx-1', body === undefined ? {} : { body }), {
      status: 400,
      json: { detail: /^REASONS is required here: give a reason in the body/ },
    })
  t.strictSame(await readReplays(pool, 'tx-1'), [])
  const field = 'mutation { replay(transactionId: "tx-1", reason: " ") { __typename } }'
  t.match((await graphql({ call }, field)).errors, [{ message: /^reason must be/, path: ['replay'] }])
  t.equal((await call('POST', '/replay/tx-1', { body: '{"reason": "mended"}' })).status, 200)
  t.match(await readReplays(pool, 'tx-1'), [{ actor: 'rest', reason: 'mended' }])
})

t.test('a replay past the window of its key must be confirmed', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool, undefined, undefined, { keyWindowMs: 1 })
  await storeInDoubt(pool, 'tx-1')
  for (const body of [undefined, '{"confirm_not_carried_out": false}'])
    t.match(await call('POST', '/replay/tx-1', body === undefined ? {} : { body }), {
      status: 409,
      json: {
        detail: /^Transaction tx-1 may have been carried out, and the processor may have forgotten its key/,
      },
    })
  t.match(await call('POST', '/replay/tx-1', { body: '{"confirm_not_carried_out": "yes"}' }), {
    status: 400,
    json: { detail: 'confirm_not_carried_out must be true or false.' },
  })
  t.strictSame(await readReplays(pool, 'tx-1'), [])
  const body = '{"confirm_not_carried_out": true, "reason": "asked the bank"}'
  t.equal((await call('POST', '/replay/tx-1', { body })).status, 200)
  t.match(await readReplays(pool, 'tx-1'), [{ actor: 'rest', reason: 'asked the bank' }])
})

t.test('a body that is not as it should be is refused, and nothing is replayed', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  for (const body of [
    '{',
    '[]',
    'null',
    '"x"',
    '\ufeff{}',
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    '{"reason": 1}',
    '{"reason": ""}',
    '{"reason": " "}',
    '{"reason": "a\\u0000b"}',
    '{"reason": "a\\nb"}',
    '{"reason": "\\ud800"}',
    JSON.stringify({ reason: 'x'.repeat(2_049) }),
    JSON.stringify({ reason: 'ü'.repeat(1_025) }),
    JSON.stringify({ operator: 'x'.repeat(129) }),
    '{"operator": {"name": "alice"}}',
    '{"operator": "a\\u001b[31mb"}',
    '{"operator": "01J8Z3V5Q2N4X6T7R9W1Y3B5D7/retention"}',
  ]) {
    t.match(
      await call('POST', '/replay/tx-1', { body }),
      { status: 400, json: { detail: String } },
      String(body),
    )
  }
  for (const bytes of [65_537, 1_000_000]) {
    const body = JSON.stringify({ reason: 'x'.repeat(bytes) })
    t.match(await call('POST', '/replay/tx-1', { body }), { status: 413, json: { detail: String } })
    const headers = { 'Transfer-Encoding': 'chunked' }
    t.equal(
      (await call('POST', '/replay/tx-1', { body, headers })).status,
      413,
      'of a length not told before',
    )
  }
  t.strictSame(await readReplays(pool, 'tx-1'), [])
})

t.test('what is unknown is 404, and what is not a dead letter is 409 with its status', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const [delivered] = await store(pool, ['delivered', 'open'], { room: 2 })
  await settleOne(pool, 'instance-1/fresh', delivered!.messageId, 1, accepted)
  await store(pool, ['waiting'])
  await store(pool, ['record:transactions.incoming:0:2'], { rejection: 'not JSON' })
  t.match(await call('POST', '/replay/delivered'), { status: 409, json: { detail: /is success/ } })
  t.strictSame(await readReplays(pool, 'delivered'), [])
  t.match(await call('POST', '/replay/nobody'), {
    status: 404,
    json: { detail: 'Transaction nobody is unknown.' },
  })
  t.match(await call('POST', '/replay/open'), { status: 409, json: { detail: /is processing/ } })
  t.match(await call('POST', '/replay/waiting'), { status: 409, json: { detail: /is pending/ } })
  t.match(await call('POST', '/replay/record:transactions.incoming:0:2'), {
    status: 409,
    json: { detail: /can never be sent/ },
  })
})

t.test('any id can be replayed, percent-encoded, and no other id is taken for it', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const ids = [
    'a/b',
    'a%2Fb',
    '..',
    '.',
    'ünï çödé',
    "x' or ''='",
    '50%',
    'a?b#c',
    'a+b',
    '{transaction_id}',
    '__proto__',
  ]
  await storeDeadLetters(pool, ids)
  for (const id of ids) {
    const path = `/replay/${encodeURIComponent(id).replaceAll('.', '%2e')}`
    t.match(await call('POST', path), { status: 200, json: { transaction_id: id } }, id)
  }
  t.equal((await call('POST', '/replay/a%00b')).status, 404)
  t.equal((await call('POST', '/replay/A%2Fb')).status, 404)
  t.equal((await call('POST', `/replay/${'x'.repeat(8_000)}`)).status, 404)
  for (const path of ['/replay/%', '/replay/%zz', '/replay/%ff'])
    t.equal((await call('POST', path)).status, 400, path)
})

t.test('of twenty at once one is accepted, and the others leave no trace in the log', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  const replies = await Promise.all(Array.from({ length: 20 }, () => call('POST', '/replay/tx-1')))
  const codes = replies.map((reply) => reply.status).sort()
  t.strictSame(codes, [200, ...Array.from({ length: 19 }, () => 409)])
  t.equal((await readReplays(pool, 'tx-1')).length, 1)
})

t.test('a request that carries an Idempotency-Key is accepted once and answered each time', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  const headers = { 'Idempotency-Key': 'k-1' }
  const first = await call('POST', '/replay/tx-1', { headers })
  const again = await call('POST', '/replay/tx-1', { headers })
  t.match(
    [first, again],
    [{ status: 200 }, { status: 200, json: { success: true, message: /before/, version: 5 } }],
  )
  const body = '{"reason": "another"}'
  t.match(await call('POST', '/replay/tx-1', { headers, body }), {
    status: 409,
    json: { detail: /another reason/ },
  })
  t.equal(
    (await call('POST', '/replay/tx-1', { headers: { 'Idempotency-Key': 'x'.repeat(129) } })).status,
    400,
  )
  t.match(await readReplays(pool, 'tx-1'), [{ request_key: 'k-1' }])
})

t.test('a replay whose COMMIT was not answered is said to be uncertain', async (t) => {
  const { pool, url } = await database(t)
  const proxied = await connectThroughProxy(t, url)
  const { call, lines } = await startService(t, proxied.pool)
  await storeDeadLetters(pool, ['tx-1'])
  t.equal((await call('GET', '/status')).status, 200)
  proxied.proxy.freeze('toClient')
  t.match(await call('POST', '/replay/tx-1'), {
    status: 503,
    json: { detail: /may have been recorded all the same/ },
  })
  t.equal((await readReplays(pool, 'tx-1')).length, 1)
  t.match(lines.at(-1), { event: 'replay failed', transaction_id: 'tx-1' })
  proxied.proxy.thaw()
})

t.test('a page of another origin may not replay', async (t) => {
  const { pool } = await database(t)
  const { call, port } = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  for (const origin of ['http://evil.example', 'null', `http://127.0.0.1:${port + 1}`]) {
    t.match(await call('POST', '/replay/tx-1', { headers: { origin } }), {
      status: 403,
      json: { detail: String },
    })
  }
  t.equal(
    (await call('POST', '/replay/tx-1', { headers: { origin: `http://127.0.0.1:${port}` } })).status,
    200,
  )
})
