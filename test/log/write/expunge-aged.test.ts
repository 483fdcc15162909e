import t from 'tap'
import { expungeAged } from '../../../src/log/write/expunge-aged.ts'
import { replay } from '../../../src/log/write/replay.ts'
import type { MessageId } from '../../../src/message/message.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import {
  accepted,
  deadLetter,
  fresh,
  idOf,
  lookOnce,
  newName,
  openAttempt,
  openAttempts,
  pendingMessage,
  record,
  refused,
  rejectedRecord,
  session,
  settle,
  settleOne,
  settlement,
  stateOf,
  store,
  topic,
  waitsFor,
} from '../support.ts'

const request = { retainMs: 1, actor: 'instance-1/retention', reason: 'RETAIN_PAYLOAD: 0.001' }

/** Walks until nothing older waits, and returns how many were expunged. */
async function walk(pool: Parameters<typeof expungeAged>[0], eventsMax = 1_000, changes = {}) {
  const sum = { expunged: 0, held: 0, pieces: 0 }
  for (;;) {
    const piece = await expungeAged(pool, { ...request, ...changes }, eventsMax)
    sum.expunged += piece.expunged
    sum.held = piece.held
    sum.pieces++
    if (!piece.more) return sum
  }
}

async function expungedOf(pool: Parameters<typeof stateOf>[0]): Promise<MessageId[]> {
  const { rows } = await pool.query<{ message_id: MessageId }>(
    `select message_id from message_events where type = 'expunged' order by position, message_id`,
  )
  return rows.map((row) => row.message_id)
}

/** Walks until the message is expunged: other databases of the cluster may hold the watermark down for a while. */
async function walkTo(pool: Parameters<typeof stateOf>[0], messageId: MessageId): Promise<void> {
  await until('the walk comes to it', async () => {
    await walk(pool)
    return (await expungedOf(pool)).includes(messageId)
  })
}

t.test('what has ended is expunged, and what may still be sent is not', async (t) => {
  const { pool } = await database(t)
  const success = await openAttempt(pool)
  await settleOne(pool, fresh, success, 1, accepted)
  const letter = await openAttempt(pool)
  await settleOne(pool, fresh, letter, 1, refused, deadLetter)
  await store(pool, [rejectedRecord(0, 'x', 77)], { partition: 77 })
  const rejected = await idOf(pool, `record:${topic}:77:0`)
  const open = [await pendingMessage(pool), await openAttempt(pool)]
  await walkTo(pool, rejected)
  t.strictSame(new Set(await expungedOf(pool)), new Set([success, letter, rejected]))
  const { rows } = await pool.query(
    `select distinct e.actor, e.reason from message_events e where type = 'expunged'`,
  )
  t.strictSame(rows, [{ actor: request.actor, reason: request.reason }])
  const { rows: kept } = await pool.query<{ message_id: string }>(
    `select message_id from records where payload_state = 'whole' order by 1`,
  )
  t.strictSame(
    kept.map((row) => row.message_id),
    open,
  )
})

t.test('a walk whose place was lost begins anew', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, accepted)
  await pool.query('delete from payload_retention')
  await walkTo(pool, messageId)
})

t.test('what is younger than the retention stays', async (t) => {
  const { pool } = await database(t)
  await settleOne(pool, fresh, await openAttempt(pool), 1, accepted)
  t.match(await walk(pool, 1_000, { retainMs: 3_600_000 }), { expunged: 0, pieces: 1 })
  const { rows } = await pool.query('select position::int from payload_retention')
  t.strictSame(rows, [{ position: 0 }], 'the walk has not passed it')
})

t.test('the age is that of the last change: what was replayed starts anew', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, refused, deadLetter)
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  await replay(pool, { transactionId, actor: 'alice', reason: 'mended', requestKey: null })
  const marker = await openAttempt(pool)
  await settleOne(pool, fresh, marker, 1, accepted)
  await walkTo(pool, marker)
  t.strictSame(await expungedOf(pool), [marker], 'the walk has passed the dead letter that is pending again')
  await lookOnce(pool, 'fresh')
  await settleOne(pool, fresh, messageId, 2, accepted)
  await walkTo(pool, messageId)
})

t.test('it goes in pieces, the oldest first, and looks at each event once', async (t) => {
  const { pool } = await database(t)
  const ids = await openAttempts(pool, 40)
  for (const id of ids) await settle(pool, fresh, [settlement(id, 1, accepted)])
  let pieces = 0
  // All are expunged at their first events, and the walk may have to wait for the watermark before it comes to the others.
  await until('the walk to have passed all events', async () => {
    await expungeAged(pool, request, 15)
    pieces++
    const { rows } = await pool.query<{ passed: boolean }>(
      `select r.position >= (select max(position) from message_events where type = 'succeeded') as passed
        from payload_retention r`,
    )
    return rows[0]?.passed === true
  })
  t.strictSame(await expungedOf(pool), ids, 'in the order in which they ended')
  t.ok(pieces >= 120 / 15)
  t.match(await walk(pool, 15), { expunged: 0 })
})

t.test('a message that another session holds is come back to, and holds up no other', async (t) => {
  const { pool, url } = await database(t)
  const [held, other] = await openAttempts(pool, 2)
  await settle(pool, fresh, [settlement(held!, 1, accepted), settlement(other!, 1, accepted)])
  const holder = await session(t, url)
  await holder.database.query('begin')
  await holder.database.query('select from message_states where message_id = $1 for update', [held])
  await walkTo(pool, other!)
  t.match(await expungeAged(pool, request, 100), { expunged: 0, held: 1 })
  t.strictSame(await expungedOf(pool), [other])
  await holder.database.query('commit')
  await walkTo(pool, held!)
  t.match(await expungeAged(pool, request, 100), { expunged: 0, held: 0, more: false })
})

t.test('of two instances one walks, and the other does not wait', async (t) => {
  const { pool, url } = await database(t)
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, accepted)
  const one = await session(t, url)
  const other = await session(t, url)
  await one.database.query('begin')
  await until(
    'the first one expunges',
    async () => (await expungeAged(one.database, request, 100)).expunged === 1,
  )
  t.strictSame(await expungeAged(other.database, request, 100), { expunged: 0, held: 0, more: false })
  await one.database.query('rollback')
  t.strictSame(await expungedOf(pool), [])
  await walkTo(pool, messageId)
})

t.test('a replay that waits for the walk is refused', async (t) => {
  const { pool, url } = await database(t)
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, refused, deadLetter)
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  const one = await session(t, url)
  const other = await session(t, url)
  await one.database.query('begin')
  await until('it is expunged', async () => (await expungeAged(one.database, request, 100)).expunged === 1)
  const second = replay(other.database, { transactionId, actor: 'bob', reason: 'x', requestKey: null })
  await waitsFor(pool, other, one, second)
  await one.database.query('commit')
  t.strictSame(await second, { kind: 'expunged', status: 'dead_letter' })
})

t.test('what an operator expunged before is passed over', async (t) => {
  const { pool } = await database(t)
  const name = newName()
  await store(pool, [record(0, name)], { room: 1 })
  const messageId = await idOf(pool, name)
  await settleOne(pool, fresh, messageId, 1, accepted)
  await pool.query(`select expunge(array[$1], 'alice', 'asked')`, [name])
  const marker = await openAttempt(pool)
  await settleOne(pool, fresh, marker, 1, accepted)
  await walkTo(pool, marker)
  t.strictSame(await expungedOf(pool), [messageId, marker])
})

t.test('a walk whose place was lost begins anew and repeats nothing', async (t) => {
  const { pool } = await database(t)
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, accepted)
  await walkTo(pool, messageId)
  await pool.query('update payload_retention set position = 0, message_id = 0, version = 0')
  t.match(await walk(pool), { expunged: 0 })
  t.strictSame(await expungedOf(pool), [messageId])
})
