import t from 'tap'
import { findOpenAttempts } from '../../../src/log/write/find-open-attempts.ts'
import { look } from '../../../src/log/write/look.ts'
import { database } from '../../support/database.ts'
import {
  fresh,
  idOf,
  lookOnce,
  newName,
  noGrace,
  openAttempts,
  pendingMessage,
  record,
  retry,
  session,
  settleOne,
  stateOf,
  store,
  unavailable,
  unknown,
} from '../support.ts'

t.test('a look starts what is due, oldest first, as many as there is room for', async (t) => {
  const { pool } = await database(t)
  const ids = [await pendingMessage(pool), await pendingMessage(pool), await pendingMessage(pool)]
  await pool.query(
    `update message_states set due_at = due_at - interval '1 hour', created_at = created_at - interval '1 hour'
     where message_id = $1`,
    [ids[2]],
  )
  const { claims, dueInMs } = await lookOnce(pool, 'fresh', { room: 2 })
  t.strictSame(
    claims.map((claim) => claim.messageId),
    [ids[2], ids[0]],
  )
  t.match(claims[0], { attempt: 1, retries: 0, traceparent: null })
  t.ok(claims[0]!.ageMs >= 3_600_000)
  t.ok(dueInMs !== null && dueInMs <= 0, 'the third is due now')
  t.match(await stateOf(pool, ids[2]!), {
    status: 'processing',
    attempts: 1,
    claimed_by: fresh,
    error_message: null,
  })
  const rest = await lookOnce(pool, 'fresh')
  t.equal(rest.claims.length, 1)
  t.equal(rest.dueInMs, null, 'nothing waits in the fresh lane')
})

t.test('each lane looks for its own work', async (t) => {
  const { pool } = await database(t)
  const [failed] = await openAttempts(pool)
  await settleOne(pool, fresh, failed!, 1, unavailable)
  const pending = await pendingMessage(pool)
  const found = await lookOnce(pool, 'retry')
  t.match(found.claims, [{ messageId: failed, attempt: 2, retries: 1 }])
  t.equal(found.claims.length, 1)
  t.match(await stateOf(pool, failed!), { claimed_by: retry, error_message: 'HTTP 503' })
  t.strictSame(
    (await lookOnce(pool, 'fresh')).claims.map((claim) => claim.messageId),
    [pending],
  )
})

t.test('nothing starts before it is due, and the look says in how long it will be', async (t) => {
  const { pool } = await database(t)
  const [first, second] = await openAttempts(pool, 2)
  await settleOne(pool, fresh, first!, 1, unavailable, { then: 'retry', delayMs: 3_600_000 })
  await settleOne(pool, fresh, second!, 1, unavailable, { then: 'retry', delayMs: 7_200_000 })
  // As looks leave it once the leases of these attempts have ended.
  await pool.query('delete from lease_checks')
  const { claims, dueInMs, expired } = await lookOnce(pool, 'retry')
  t.strictSame([claims, expired], [[], false])
  t.ok(dueInMs! > 3_500_000 && dueInMs! <= 3_600_000, String(dueInMs))
})

t.test('a look brings at most about its bytes into memory, and always one message', async (t) => {
  const { pool } = await database(t)
  const mebibyte = Buffer.alloc(1024 * 1024, 'a')
  const sizes = [6, 1, 1, 1, 1, 1, 6]
  const records = sizes.map((size, at) => {
    const payload = Buffer.concat(Array.from({ length: size }, () => mebibyte))
    return record(at, newName(), { payload, payloadBytes: payload.length, isJson: false })
  })
  await store(pool, records)
  const looks = []
  for (let found = await lookOnce(pool, 'fresh'); found.claims.length > 0;) {
    looks.push(found.claims.map((claim) => claim.payload.length / mebibyte.length))
    const more = found.dueInMs !== null && found.dueInMs <= 0
    t.equal(more, looks.flat().length < sizes.length, 'what is left over is due')
    found = await lookOnce(pool, 'fresh')
  }
  t.strictSame(looks, [[6], [1, 1, 1, 1], [1, 6]])
})

t.test(
  'two looks at once never start one attempt twice: the second skips what the first holds',
  async (t) => {
    const { pool, url } = await database(t)
    const ids = [await pendingMessage(pool), await pendingMessage(pool), await pendingMessage(pool)]
    const one = await session(t, url)
    await one.database.query('begin')
    const first = await lookOnce(one.database, 'fresh', { room: 2, as: 'instance-1/fresh' })
    const second = await lookOnce(pool, 'fresh', { as: 'instance-2/fresh' })
    t.strictSame(
      first.claims.map((claim) => claim.messageId),
      ids.slice(0, 2),
    )
    t.strictSame(
      second.claims.map((claim) => claim.messageId),
      ids.slice(2),
    )
    t.ok(second.dueInMs! <= 0, 'what the other one holds may come back')
    await one.database.query('rollback')
    const third = await lookOnce(pool, 'fresh', { as: 'instance-2/fresh', lookFrom: second.lookFrom })
    t.strictSame(
      third.claims.map((claim) => [claim.messageId, claim.attempt]),
      ids.slice(0, 2).map((id) => [id, 1]),
    )
  },
)

t.test('many looks at once start every attempt once', async (t) => {
  const { pool } = await database(t)
  const records = Array.from({ length: 200 }, (_, at) => record(at, newName()))
  await store(pool, records)
  const found = await Promise.all(
    Array.from({ length: 8 }, (_, at) => lookOnce(pool, 'fresh', { room: 40, as: `instance-${at}/fresh` })),
  )
  const rest = await lookOnce(pool, 'fresh', { room: 200 })
  const ids = [...found, rest].flatMap((each) => each.claims.map((claim) => claim.messageId))
  t.equal(ids.length, 200)
  t.equal(new Set(ids).size, 200)
  const { rows } = await pool.query(
    `select count(*)::int as started from message_events where type = 'attempt_started'`,
  )
  t.strictSame(rows, [{ started: 200 }])
})

t.test('the bound to look from lies 35 s back, or at the earliest that waits', async (t) => {
  const { pool } = await database(t)
  const empty = await lookOnce(pool, 'retry')
  const age = `extract(epoch from clock_timestamp() - $1::timestamptz) as seconds`
  const { rows } = await pool.query<{ seconds: string }>(`select ${age}`, [empty.lookFrom.failed])
  t.ok(Number(rows[0]!.seconds) >= 35 && Number(rows[0]!.seconds) < 60)

  const messageId = await pendingMessage(pool)
  await pool.query(`update message_states set due_at = '2001-02-03 04:05:06.123456Z' where message_id = $1`, [
    messageId,
  ])
  const full = await lookOnce(pool, 'fresh', { room: 0 })
  const { rows: bounds } = await pool.query(
    `select $1::timestamptz = '2001-02-03 04:05:06.123456Z' as earliest`,
    [full.lookFrom.pending],
  )
  t.strictSame(bounds, [{ earliest: true }])
  t.equal((await lookOnce(pool, 'fresh', { lookFrom: full.lookFrom })).claims.length, 1)
})

t.test('what was written before the bound and committed after it is found', async (t) => {
  const { pool, url } = await database(t)
  const one = await session(t, url)
  await one.database.query('begin')
  await store(one.database, [record(0, newName())])
  const before = await lookOnce(pool, 'fresh')
  await one.database.query('commit')
  t.equal(before.claims.length, 0)
  t.equal((await lookOnce(pool, 'fresh', { lookFrom: before.lookFrom })).claims.length, 1)
})

t.test('the bound goes back with a clock that was set back', async (t) => {
  const { pool } = await database(t)
  const ahead = { pending: '2999-01-01T00:00:00Z' }
  await pendingMessage(pool)
  const blind = await lookOnce(pool, 'fresh', { lookFrom: ahead })
  t.equal(blind.claims.length, 0)
  t.equal((await lookOnce(pool, 'fresh', { lookFrom: blind.lookFrom })).claims.length, 1)
})

t.test('the retry lane waits for the leases of both lanes', async (t) => {
  const { pool } = await database(t)
  await openAttempts(pool, 1, 120_000)
  const { dueInMs, expired } = await lookOnce(pool, 'retry')
  t.equal(expired, false)
  t.ok(dueInMs! > 100_000 && dueInMs! <= 120_000, String(dueInMs))
  t.equal((await lookOnce(pool, 'fresh')).dueInMs, null)
  await openAttempts(pool, 1, 0)
  t.match(await lookOnce(pool, 'retry'), { expired: true, claims: [] })
})

t.test('open attempts are found by who holds them, with their age', async (t) => {
  const { pool } = await database(t)
  const ids = await openAttempts(pool, 2)
  await pendingMessage(pool)
  await lookOnce(pool, 'fresh', { as: 'instance-2/fresh' })
  const open = await findOpenAttempts(pool, fresh)
  t.match(open, [
    { claim: { messageId: ids[0], attempt: 1, retries: 0 } },
    { claim: { messageId: ids[1], attempt: 1, retries: 0 } },
  ])
  t.equal(open.length, 2)
  t.ok(open.every((each) => each.startedMsAgo >= 0 && each.startedMsAgo < 60_000))
  await settleOne(pool, fresh, ids[0]!, 1, unknown)
  await settleOne(pool, fresh, ids[1]!, 1, unknown)
  t.strictSame(await findOpenAttempts(pool, fresh), [])
})

t.test('a rejected or conflicting record is never claimed', async (t) => {
  const { pool } = await database(t)
  const name = newName()
  await store(pool, [record(0, name), record(1, name, { bytes: 'other' })])
  const { claims } = await look(pool, {
    lane: 'fresh',
    actor: fresh,
    room: { all: 100, slow: 100 },
    lease: noGrace,
    lookFrom: {},
    withLeases: false,
  })
  t.strictSame(
    claims.map((claim) => claim.messageId),
    [await idOf(pool, name)],
  )
  t.equal(
    (
      await look(pool, {
        lane: 'retry',
        actor: retry,
        room: { all: 100, slow: 100 },
        lease: noGrace,
        lookFrom: {},
        withLeases: true,
      })
    ).claims.length,
    0,
  )
})
