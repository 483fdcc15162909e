import t from 'tap'
import { expunge, type ExpungeAnswer } from '../../../src/log/write/expunge.ts'
import { replay, replayMany } from '../../../src/log/write/replay.ts'
import type { MessageId } from '../../../src/message/message.ts'
import type { Outcome } from '../../../src/message/outcome.ts'
import { migrate } from '../../../src/runtime/migrate.ts'
import { database } from '../../support/database.ts'
import { createRole } from '../../support/roles.ts'
import {
  accepted,
  deadLetter,
  fresh,
  idOf,
  newName,
  openAttempt,
  pendingMessage,
  record,
  refused,
  rejectedRecord,
  session,
  settleOne,
  stateOf,
  store,
  topic,
  typesOf,
  unavailable,
  unknown,
  waitsFor,
} from '../support.ts'

const own = await database(t)
const { pool, url } = own

async function ask(messageId: MessageId, { by = pool, reason = 'asked to be forgotten' } = {}) {
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  return expunge(by, { transactionId, actor: 'alice', reason })
}

async function askReplay(messageId: MessageId, by = pool) {
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  return replay(by, { transactionId, actor: 'bob', reason: 'mended', requestKey: null })
}

const secrets = {
  key: Buffer.from('customer 7'),
  headers: JSON.stringify([['iban', Buffer.from('DE02').toString('base64')]]),
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
}

let partition = 1_000

/** A message that has succeeded, or is a dead letter, with a key, headers and a traceparent. */
async function ended(outcome: Outcome = accepted): Promise<MessageId> {
  const name = newName()
  await store(pool, [record(0, name, secrets)], { room: 1, partition: ++partition })
  const messageId = await idOf(pool, name)
  await settleOne(pool, fresh, messageId, 1, outcome, outcome.kind === 'accepted' ? undefined : deadLetter)
  return messageId
}

async function recordsOf(messageId: MessageId): Promise<Record<string, unknown>[]> {
  const { rows } = await pool.query<Record<string, unknown>>(
    `select version, key, headers, traceparent, payload, payload_state, payload_bytes from records
     where message_id = $1 order by version`,
    [messageId],
  )
  return rows
}

const nothing = { key: null, headers: null, traceparent: null, payload: null, payload_state: 'expunged' }

for (const outcome of [accepted, refused] as const) {
  t.test(
    `of a message whose attempt was ${outcome.kind} the bytes, key and headers go; hash and size stay`,
    async (t) => {
      const messageId = await ended(outcome)
      const before = await stateOf(pool, messageId)
      const [kept] = await recordsOf(messageId)
      t.match(kept, { ...secrets, headers: [['iban', String]], payload: Buffer, payload_state: 'whole' })
      const hash = 'select payload_sha256 from inbox where message_id = $1'
      const { rows: hashes } = await pool.query(hash, [messageId])

      const version = before.version + 1
      t.strictSame(await ask(messageId), { kind: 'expunged', version, status: before.status })
      t.strictSame(await recordsOf(messageId), [
        { version: 1, ...nothing, payload_bytes: kept!.payload_bytes },
      ])
      t.strictSame((await pool.query(hash, [messageId])).rows, hashes)
      const { rows: events } = await pool.query(
        `select e.type, e.actor, e.reason, e.status, f.payload_sha256 = i.payload_sha256 as same_hash
         from message_events e
         join message_events f on f.message_id = e.message_id and f.version = 1
         join inbox i on i.message_id = e.message_id
         where e.message_id = $1 and e.version = $2`,
        [messageId, version],
      )
      t.strictSame(events, [
        {
          type: 'expunged',
          actor: 'alice',
          reason: 'asked to be forgotten',
          status: before.status,
          same_hash: true,
        },
      ])
      const after = await stateOf(pool, messageId)
      const moved = { version, recorded_at: after.recorded_at, position: String }
      t.match(after, { ...before, ...moved }, 'nothing else of the message changes')
      const { rows: shown } = await pool.query('select payload, status from messages where message_id = $1', [
        messageId,
      ])
      t.strictSame(shown, [{ payload: null, status: before.status }])
    },
  )
}

t.test('to expunge again does nothing and answers with the first event', async (t) => {
  const messageId = await ended()
  const first = (await ask(messageId)) as Extract<ExpungeAnswer, { version: number }>
  t.strictSame(await ask(messageId, { reason: 'again' }), { ...first, kind: 'already' })
  t.equal((await typesOf(pool, messageId)).filter((type) => type === 'expunged').length, 1)
  const { transaction_id: id } = await stateOf(pool, await ended())
  const { rows } = await pool.query(
    `select answer, version from expunge(array[$1, 'nobody', $1], 'alice', 'why') order by place`,
    [id],
  )
  t.strictSame(rows, [
    { answer: 'expunged', version: 4 },
    { answer: 'unknown', version: null },
    { answer: 'already', version: 4 },
  ])
})

t.test('of twenty at once one expunges', async (t) => {
  const messageId = await ended()
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(messageId)))
  t.equal(answers.filter(({ kind }) => kind === 'expunged').length, 1)
  t.equal(answers.filter(({ kind }) => kind === 'already').length, 19)
  t.equal((await typesOf(pool, messageId)).filter((type) => type === 'expunged').length, 1)
})

t.test('a message that may still need its bytes keeps them', async (t) => {
  const pending = await pendingMessage(pool)
  const processing = await openAttempt(pool)
  const failed = await openAttempt(pool)
  await settleOne(pool, fresh, failed, 1, unavailable, { then: 'retry', delayMs: 3_600_000 })
  for (const [status, messageId] of Object.entries({ pending, processing, failed })) {
    const before = [await stateOf(pool, messageId), await recordsOf(messageId)]
    t.strictSame(await ask(messageId), { kind: 'open', status })
    t.strictSame([await stateOf(pool, messageId), await recordsOf(messageId)], before)
  }
})

t.test('an event `expunged` of such a message is no legal transition', async (t) => {
  const messageId = await pendingMessage(pool)
  await t.rejects(pool.query(`select append_expunged(array[$1::bigint], 'alice', 'why')`, [messageId]), {
    code: '23000',
    message: /from pending by expunged to pending/,
  })
})

t.test('an unknown id is unknown; without an actor or a reason nothing is done', async (t) => {
  for (const transactionId of ['nobody', '', '%', 'a\0b', '\ud800'])
    t.strictSame(await expunge(pool, { transactionId, actor: 'alice', reason: 'x' }), { kind: 'unknown' })
  const messageId = await ended()
  for (const reason of ['', '  ']) await t.rejects(ask(messageId, { reason }), { code: '22023' })
  t.notOk((await typesOf(pool, messageId)).includes('expunged'))
})

t.test(
  'duplicates lose their keys and headers too, and one that comes later brings nothing back',
  async (t) => {
    const name = newName()
    const at = ++partition
    const stored = (offset: number) =>
      store(pool, [record(offset, name, secrets)], { room: 1, partition: at })
    await stored(0)
    const messageId = await idOf(pool, name)
    await stored(1)
    await settleOne(pool, fresh, messageId, 1, accepted)
    t.match(await recordsOf(messageId), [
      { version: 1 },
      { version: 3, payload_state: 'same', ...secrets, headers: Array },
    ])
    t.match(await ask(messageId), { kind: 'expunged', version: 5 })
    t.strictSame((await stored(2)).results, ['duplicate'], 'it is a duplicate by its hash')
    const records = await recordsOf(messageId)
    t.match(records, [
      { version: 1, ...nothing },
      { version: 3, ...nothing },
      { version: 6, ...nothing },
    ])
    t.equal(new Set(records.map((each) => each.payload_bytes)).size, 1, 'the size stays')
    t.strictSame((await typesOf(pool, messageId)).slice(-2), ['expunged', 'duplicate_received'])
  },
)

t.test('a conflicting record stays as it is, and can be expunged by its own id', async (t) => {
  const name = newName()
  const at = ++partition
  await store(pool, [record(0, name)], { room: 1, partition: at })
  const messageId = await idOf(pool, name)
  await settleOne(pool, fresh, messageId, 1, accepted)
  await store(pool, [record(1, name, { bytes: 'other', ...secrets })], { partition: at })
  t.match(await ask(messageId), { kind: 'expunged' })
  const conflict = await idOf(pool, `record:${topic}:${at}:1`)
  t.match(await recordsOf(conflict), [{ ...secrets, headers: Array, payload_state: 'whole' }])
  const later = await store(pool, [record(2, name, { bytes: 'a third' })], { partition: at })
  t.strictSame(later.results, ['conflict'], 'other bytes are still a conflict')
  t.match(await ask(conflict), { kind: 'expunged', status: 'dead_letter' })
  t.match(await recordsOf(conflict), [nothing])
})

t.test('a rejected record is expunged too', async (t) => {
  const at = ++partition
  await store(pool, [rejectedRecord(0, 'x', at)], { partition: at })
  const messageId = await idOf(pool, `record:${topic}:${at}:0`)
  t.match(await ask(messageId), { kind: 'expunged', version: 2, status: 'dead_letter' })
  t.strictSame(await recordsOf(messageId), [{ version: 1, ...nothing, payload_bytes: 1 }])
  t.strictSame(await askReplay(messageId), { kind: 'not_replayable', status: 'dead_letter' })
})

t.test('what was expunged is never replayed, and the answer says why', async (t) => {
  const messageId = await ended(refused)
  t.match(await ask(messageId), { kind: 'expunged' })
  t.strictSame(await askReplay(messageId), { kind: 'expunged', status: 'dead_letter' })
  t.equal((await stateOf(pool, messageId)).status, 'dead_letter')
  const other = await ended(refused)
  const ids = [await stateOf(pool, messageId), await stateOf(pool, other)].map((each) => each.transaction_id)
  const request = { actor: 'bob', reason: 'mended', requestKey: null }
  t.match(await replayMany(pool, ['nobody', ...ids, 'a\0b'], request), [
    { kind: 'unknown' },
    { kind: 'expunged' },
    { kind: 'replayed' },
    { kind: 'unknown' },
  ])
})

t.test('a late acceptance of what was expunged makes it a success', async (t) => {
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, unknown, deadLetter)
  t.match(await ask(messageId), { kind: 'expunged' })
  t.equal(await settleOne(pool, fresh, messageId, 1, accepted), 'late')
  t.equal((await stateOf(pool, messageId)).status, 'success')
  t.strictSame(await ask(messageId), { kind: 'already', version: 5, status: 'success' })
})

t.test('of a replay and an expunge at once only the first one is done', async (t) => {
  for (const first of ['expunge', 'replay'] as const) {
    const messageId = await ended(refused)
    const one = await session(t, url)
    const other = await session(t, url)
    await one.database.query('begin')
    if (first === 'expunge') await ask(messageId, { by: one.database })
    else await askReplay(messageId, one.database)
    const second =
      first === 'expunge' ? askReplay(messageId, other.database) : ask(messageId, { by: other.database })
    await waitsFor(pool, other, one, second)
    await one.database.query('commit')
    t.strictSame(
      await second,
      first === 'expunge' ? { kind: 'expunged', status: 'dead_letter' } : { kind: 'open', status: 'pending' },
    )
    const [state] = await recordsOf(messageId)
    t.equal(state?.payload_state, first === 'expunge' ? 'expunged' : 'whole')
  }
})

t.test('a duplicate that waits for the expunge brings nothing back', async (t) => {
  const name = newName()
  const at = ++partition
  await store(pool, [record(0, name, secrets)], { room: 1, partition: at })
  const messageId = await idOf(pool, name)
  await settleOne(pool, fresh, messageId, 1, accepted)
  const one = await session(t, url)
  const other = await session(t, url)
  await one.database.query('begin')
  await ask(messageId, { by: one.database })
  const second = store(other.database, [record(1, name, secrets)], { partition: at })
  await waitsFor(pool, other, one, second)
  await one.database.query('commit')
  t.strictSame((await second).results, ['duplicate'])
  t.match(await recordsOf(messageId), [nothing, nothing])
})

t.test('records change in this one way only, even by their owner', async (t) => {
  const messageId = await ended()
  const kept = await recordsOf(messageId)
  const expunges = `key = null, headers = null, traceparent = null, payload = null, payload_state = 'expunged'`
  const refuse = async (sql: string): Promise<void> => {
    for (const role of ['origin', 'replica']) {
      const { database } = await session(t, url)
      await database.query(`set session_replication_role = ${role}`)
      const refusal = { code: '42501', message: /append-only/ }
      await t.rejects(database.query(`${sql} where message_id = ${messageId}`), refusal, sql)
    }
  }
  await refuse(`update records set ${expunges}`)
  t.strictSame(await recordsOf(messageId), kept, 'no event says that it is expunged')
  // A pool lets go of a session whose statement failed.
  const client = await pool.connect()
  await client.query('begin')
  // The event alone, as somebody might append it who means to alter the bytes.
  await client.query(
    `insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, reason)
     select message_id, version + 1, greatest(current_position(), position), clock_timestamp(), 'expunged', 'mallory', status,
       retry_count, 'cover'
     from message_states where message_id = $1`,
    [messageId],
  )
  for (const change of [
    `payload = '{}'`,
    `payload = null`,
    `payload_state = 'expunged'`,
    `${expunges}, payload_bytes = 0`,
    `${expunges}, timestamp_ms = 1`,
    `${expunges}, is_json = false`,
    `${expunges}, version = 2`,
    expunges.replace('key = null', `key = 'x'`),
    expunges.replace('headers = null', `headers = '[]'`),
  ]) {
    await client.query('savepoint before')
    await t.rejects(
      client.query(`update records set ${change} where message_id = ${messageId}`),
      { code: '42501' },
      change,
    )
    await client.query('rollback to before')
  }
  await client.query(`update records set ${expunges} where message_id = ${messageId}`)
  await client.query('rollback')
  client.release()
  t.match(await ask(messageId), { kind: 'expunged' })
  await refuse(`update records_s1 set ${expunges}`)
  await refuse(`update records set payload = '{}', payload_state = 'whole'`)
  await refuse(`delete from records`)
})

t.test('records of a new segment are guarded the same', async (t) => {
  const { database: client } = await session(t, url)
  await client.query('begin')
  await client.query(`select setval('message_ids', (select max(next_message_id) from log_segments) + 10)`)
  await client.query('select make_segments(1000)')
  const { rows } = await client.query<{ segments: number; guarded: number }>(
    `select count(*)::int as segments,
       count(*) filter (where exists (
         select from pg_trigger t where t.tgrelid = i.inhrelid and t.tgname = 'expunge_only' and t.tgenabled = 'A'))::int as guarded
     from pg_inherits i where i.inhparent = 'records'::regclass`,
  )
  await client.query('rollback')
  t.ok(rows[0]!.segments > 1)
  t.equal(rows[0]!.guarded, rows[0]!.segments)
})

t.test('the role of the service expunges by the function and in no other way', async (t) => {
  const role = await createRole(t, own)
  await migrate({ connectionString: url }, role.name)
  const { database: service } = await session(t, role.url)
  const messageId = await ended()
  for (const sql of [
    `update records set payload = null`,
    `update payload_retention set position = 0`,
    `select append_expunged(array[${messageId}], 'mallory', 'why')`,
    `alter table records disable trigger expunge_only`,
  ])
    await t.rejects(service.query(sql), { code: '42501' }, sql)
  t.match(await ask(messageId, { by: service }), { kind: 'expunged' })
})
