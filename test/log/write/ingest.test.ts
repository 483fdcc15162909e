import { createHash } from 'node:crypto'
import t from 'tap'
import { decidePartition } from '../../../src/log/write/decide-partition.ts'
import { ingest, type Slice } from '../../../src/log/write/ingest.ts'
import { stopPartition } from '../../../src/log/write/stop-partition.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import {
  actor,
  fresh,
  idOf,
  newName,
  record,
  rejectedRecord,
  stateOf,
  store,
  topic,
  typesOf,
} from '../support.ts'

const { pool } = await database(t)

function slice(partition: number, from: number, next: number, changes: Partial<Slice> = {}): Slice {
  return {
    topic,
    partition,
    incarnation: 1,
    first: BigInt(from),
    next: BigInt(next),
    records: [],
    holes: [],
    ...changes,
  }
}

function send(slice: Slice): ReturnType<typeof ingest> {
  return ingest(pool, slice, { actor, lane: fresh, room: 0, leaseMs: 60_000 })
}

t.test('a new record is a pending message that is due now, with its bytes, key and headers', async (t) => {
  const name = newName()
  const { results, claims, nextOffset } = await store(
    pool,
    [
      record(7, name, {
        key: Buffer.from([0xff, 0x00]),
        headers: '[["trace\\u0000",null]]',
        traceparent: '00-1-2-00',
        timestampMs: 1_700_000_000_000n,
      }),
    ],
    { partition: 700 },
  )
  t.strictSame([results, claims, nextOffset], [['received'], [], 8n])
  const messageId = await idOf(pool, name)
  t.match(await stateOf(pool, messageId), {
    transaction_id: name,
    version: 1,
    status: 'pending',
    retry_count: 0,
    attempts: 0,
    claimed_by: null,
    error_message: null,
    outcome_unknown: false,
  })
  const events = await pool.query(
    `select e.type, e.actor, e.topic, e.partition, e.kafka_offset, e.transaction_id, e.due_at = e.recorded_at as due_now,
       e.payload_sha256 = sha256(r.payload) as hashed, r.key, r.headers::text as headers, r.traceparent, r.timestamp_ms,
       r.payload_state, r.payload_bytes = length(r.payload) as measured
     from message_events e join records r using (message_id, version) where message_id = $1`,
    [messageId],
  )
  t.strictSame(events.rows, [
    {
      type: 'received',
      actor,
      topic,
      partition: 700,
      kafka_offset: '7',
      transaction_id: name,
      due_now: true,
      hashed: true,
      key: Buffer.from([0xff, 0x00]),
      headers: '[["trace\\u0000",null]]',
      traceparent: '00-1-2-00',
      timestamp_ms: '1700000000000',
      payload_state: 'whole',
      measured: true,
    },
  ])
})

t.test('the first messages that fit into the room have their first attempt started with them', async (t) => {
  const names = [newName(), newName(), newName()]
  const bad = rejectedRecord(1, 'nonsense', 701)
  const records = [record(0, names[0]!), bad, record(2, names[1]!), record(3, names[2]!)]
  const { results, claims } = await store(pool, records, { room: 2, partition: 701 })
  t.strictSame(results, ['received', 'rejected', 'received', 'received'])
  t.match(claims, [
    { transactionId: names[0], attempt: 1, retries: 0, payload: records[0]!.payload },
    { transactionId: names[1], attempt: 1, retries: 0, payload: records[2]!.payload },
  ])
  t.equal(claims.length, 2)
  t.match(await stateOf(pool, claims[1]!.messageId), {
    status: 'processing',
    version: 2,
    attempts: 1,
    claimed_by: fresh,
  })
  t.match(await stateOf(pool, await idOf(pool, names[2]!)), { status: 'pending', version: 1 })
  const { rows } = await pool.query<{ lease: string }>(
    `select (due_at - recorded_at)::text as lease from message_events where message_id = $1 and version = 2`,
    [claims[0]!.messageId],
  )
  t.equal(rows[0]?.lease, '00:01:00')
})

t.test('a rejected record is a dead letter of its own with its bytes and the reason', async (t) => {
  await store(pool, [rejectedRecord(4, 'not json', 702)], { partition: 702 })
  const messageId = await idOf(pool, `record:${topic}:702:4`)
  t.strictSame(await typesOf(pool, messageId), ['rejected'])
  t.match(await stateOf(pool, messageId), {
    status: 'dead_letter',
    attempts: 0,
    due_at: null,
    error_message: 'The value is not JSON.',
  })
  const { rows } = await pool.query('select payload from records where message_id = $1', [messageId])
  t.strictSame(rows, [{ payload: Buffer.from('not json') }])
})

t.test('a record without a value is kept as absent', async (t) => {
  const id = `record:${topic}:703:0`
  await store(
    pool,
    [
      record(0, id, {
        payload: null,
        payloadState: 'absent',
        payloadBytes: 0,
        sha256: createHash('sha256').digest(),
        isJson: false,
        rejection: 'The record has no value.',
      }),
    ],
    { partition: 703 },
  )
  const { rows } = await pool.query(
    'select payload, payload_state, payload_bytes from records where message_id = $1',
    [await idOf(pool, id)],
  )
  t.strictSame(rows, [{ payload: null, payload_state: 'absent', payload_bytes: 0 }])
})

t.test('the same id with the same bytes is a duplicate, whatever its key and headers', async (t) => {
  const name = newName()
  await store(pool, [record(0, name)])
  const { results } = await store(pool, [
    record(0, name, { key: Buffer.from('other'), headers: '[["a",null]]' }),
  ])
  t.strictSame(results, ['duplicate'])
  const messageId = await idOf(pool, name)
  t.strictSame(await typesOf(pool, messageId), ['received', 'duplicate_received'])
  t.match(await stateOf(pool, messageId), { status: 'pending', version: 2 })
  const { rows } = await pool.query(
    'select key, payload, payload_state from records where message_id = $1 and version = 2',
    [messageId],
  )
  t.strictSame(rows, [{ key: Buffer.from('other'), payload: null, payload_state: 'same' }])
})

t.test(
  'the same id with other bytes is a dead letter of its own, and both sides name the other',
  async (t) => {
    const name = newName()
    await store(pool, [record(0, name)])
    const { results } = await store(pool, [record(9, name, { bytes: 'other' })], { partition: 704 })
    t.strictSame(results, ['conflict'])
    const original = await idOf(pool, name)
    const own = await idOf(pool, `record:${topic}:704:9`)
    t.strictSame(await typesOf(pool, original), ['received', 'conflict_received'])
    t.strictSame(await typesOf(pool, own), ['conflict_received'])
    t.match(await stateOf(pool, original), { status: 'pending', error_message: null })
    t.match(await stateOf(pool, own), {
      status: 'dead_letter',
      error_message: `the same transaction id with other bytes: ${name}`,
    })
    const { rows } = await pool.query(
      `select e.message_id, e.related_message_id, e.kafka_offset, e.topic, e.partition, r.payload
     from message_events e left join records r using (message_id, version)
     where e.type = 'conflict_received' and e.message_id = any ($1) order by e.message_id`,
      [[original, own]],
    )
    const place = { kafka_offset: '9', topic, partition: 704 }
    t.strictSame(rows, [
      { message_id: original, related_message_id: own, ...place, payload: null },
      {
        message_id: own,
        related_message_id: original,
        ...place,
        payload: record(9, name, { bytes: 'other' }).payload,
      },
    ])
  },
)

t.test('one slice may bring an id anew, again and with other bytes', async (t) => {
  const [name, other] = [newName(), newName()]
  const { results, claims } = await store(
    pool,
    [
      record(0, name),
      record(1, name),
      record(2, name, { bytes: 'other' }),
      record(3, other),
      record(4, name, { bytes: 'other' }),
    ],
    { room: 5, partition: 705 },
  )
  t.strictSame(results, ['received', 'duplicate', 'conflict', 'received', 'conflict'])
  t.strictSame(
    claims.map((claim) => claim.transactionId),
    [name, other],
  )
  t.strictSame(await typesOf(pool, await idOf(pool, name)), [
    'received',
    'attempt_started',
    'duplicate_received',
    'conflict_received',
    'conflict_received',
  ])
  t.strictSame(await typesOf(pool, await idOf(pool, `record:${topic}:705:4`)), ['conflict_received'])
  const { rows } = await pool.query(
    `select received, duplicates, conflicts, rejected, holes from partition_advances
     join partitions using (partition_id) where partition = 705`,
  )
  t.strictSame(rows, [{ received: 2, duplicates: 1, conflicts: 2, rejected: 0, holes: '0' }])
})

t.test('ids are told apart byte for byte', async (t) => {
  const names = ['tx-A', 'tx-a', 'tx-a ', 'tx-\u00e4', 'tx-a\u0308', 'TX-A']
  const { results } = await store(
    pool,
    names.map((name, at) => record(at, name)),
  )
  t.strictSame(
    results,
    names.map(() => 'received'),
  )
})

t.test('a slice whose COMMIT answer was lost may be sent again: its records are skipped', async (t) => {
  const names = [newName(), newName()]
  const same = slice(706, 0, 2, { records: names.map((name, at) => record(at, name)) })
  t.match(await send(same), { kind: 'stored', results: ['received', 'received'], nextOffset: 2n })
  const before = await pool.query('select count(*) from message_events')
  t.match(await send(same), { kind: 'stored', results: ['skipped', 'skipped'], claims: [], nextOffset: 2n })
  t.strictSame((await pool.query('select count(*) from message_events')).rows, before.rows)
})

t.test('a slice that begins below the stored offset is stored from there on', async (t) => {
  const [a, b, c] = [newName(), newName(), newName()]
  await send(slice(707, 0, 2, { records: [record(0, a), record(1, b)] }))
  const overlap = slice(707, 1, 5, {
    records: [record(1, b), record(3, c)],
    holes: [{ first: 2n, next: 3n }],
  })
  t.match(await send({ ...overlap, next: 4n }), {
    kind: 'stored',
    results: ['skipped', 'received'],
    nextOffset: 4n,
  })
  t.strictSame(await typesOf(pool, await idOf(pool, b)), ['received'])
  const { rows } = await pool.query(
    `select a.first_offset, a.next_offset, a.received, a.holes from partition_advances a
     join partitions using (partition_id) where partition = 707 order by next_offset`,
  )
  t.strictSame(rows, [
    { first_offset: '0', next_offset: '2', received: 2, holes: '0' },
    { first_offset: '2', next_offset: '4', received: 1, holes: '1' },
  ])
})

t.test('a slice that begins above the stored offset stores nothing and says where to go on', async (t) => {
  await send(slice(708, 0, 1, { records: [record(0, newName())] }))
  const name = newName()
  t.strictSame(await send(slice(708, 5, 6, { records: [record(5, name)] })), {
    kind: 'ahead',
    nextOffset: 1n,
  })
  await t.rejects(idOf(pool, name))
})

t.test(
  'where nothing of a partition is stored, a slice that says where it began must begin there',
  async (t) => {
    const [early, late] = [newName(), newName()]
    const rest = slice(722, 5, 6, { records: [record(5, late)], begins: 4n })
    t.strictSame(await send(rest), { kind: 'ahead', nextOffset: 4n })
    t.match(await send(slice(722, 4, 5, { records: [record(4, early)], begins: 4n })), { kind: 'stored' })
    t.match(await send({ ...rest, begins: 0n }), { kind: 'stored' }, 'what the log knows counts')
  },
)

t.test('a slice that is one hole advances the offset', async (t) => {
  await send(slice(709, 0, 1, { records: [record(0, newName())] }))
  const hole = slice(709, 1, 4, { holes: [{ first: 1n, next: 4n }] })
  t.strictSame(await send(hole), { kind: 'stored', nextOffset: 4n, results: [], claims: [] })
  t.strictSame(await send(hole), { kind: 'stored', nextOffset: 4n, results: [], claims: [] })
  const { rows } = await pool.query(
    `select first_offset, next_offset from partition_holes join partitions using (partition_id) where partition = 709`,
  )
  t.strictSame(rows, [{ first_offset: '1', next_offset: '4' }])
})

t.test('a hole that was partly stored is recorded from the stored offset on', async (t) => {
  await send(slice(710, 0, 2, { records: [record(0, newName())], holes: [{ first: 1n, next: 2n }] }))
  await send(slice(710, 1, 5, { records: [record(4, newName())], holes: [{ first: 1n, next: 4n }] }))
  const { rows } = await pool.query(
    `select first_offset, next_offset from partition_holes
     join partitions using (partition_id) where partition = 710 order by 1`,
  )
  t.strictSame(rows, [
    { first_offset: '1', next_offset: '2' },
    { first_offset: '2', next_offset: '4' },
  ])
})

t.test('the first slice of a partition may begin anywhere', async (t) => {
  t.match(await send(slice(711, 1_000_000, 1_000_001, { records: [record(1_000_000, newName())] })), {
    kind: 'stored',
    nextOffset: 1_000_001n,
  })
})

t.test('a stopped partition takes nothing until it is resumed', async (t) => {
  await send(slice(712, 0, 1, { records: [record(0, newName())] }))
  await pool.query(`select stop_partition($1, 712, 1, 1, null, 'out of range', 'ingest-1')`, [topic])
  await pool.query(`select stop_partition($1, 712, 1, 1, null, 'again', 'ingest-2')`, [topic])
  const next = slice(712, 1, 2, { records: [record(1, newName())] })
  t.strictSame(await send(next), { kind: 'stopped', reason: 'out of range', nextOffset: 1n })
  await pool.query(
    `insert into partition_decisions (partition_id, decision, type, recorded_at, actor, reason)
     select partition_id, 2, 'resumed', now(), 'alice', 'looked at it' from partitions where partition = 712`,
  )
  t.match(await send(next), { kind: 'stored', results: ['received'] })
})

t.test(
  'a slice of an incarnation that has ended stores nothing, also if it waited for the word',
  async (t) => {
    await send(slice(713, 0, 2, { records: [record(0, newName()), record(1, newName())] }))
    const stop = { topic, partition: 713, incarnation: 1, next: 2n, resume: null, reason: 'created anew' }
    t.equal(await stopPartition(pool, stop, actor), true)
    const deciding = await pool.connect()
    await deciding.query('begin')
    const word = { topic, partition: 713, actor: 'alice', reason: 'so it was' }
    await decidePartition(deciding, { ...word, type: 'incarnation_begun', range: { low: 0n, high: 5n } })
    const late = slice(713, 2, 3, { records: [record(2, newName())] })
    const waiting = send(late)
    await until('it waits', async () => {
      const { rows } = await pool.query<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
      return rows[0]!.n > 0
    })
    await deciding.query('commit')
    deciding.release()
    t.strictSame(await waiting, { kind: 'ended', nextOffset: 2n })
    t.strictSame(await send(late), { kind: 'ended', nextOffset: 2n })

    const name = newName()
    const anew = { incarnation: 2, records: [record(0, name), record(1, name, { bytes: 'other' })] }
    t.match(await send(slice(713, 0, 2, anew)), { kind: 'stored', results: ['received', 'conflict'] })
    t.ok(await idOf(pool, `record:${topic}:713:1:2`), 'the id names the incarnation')
    await t.rejects(
      send(slice(713, 0, 1, { incarnation: 3, records: [record(0, newName())] })),
      /no incarnation 3/,
    )
  },
)

t.test('the events of a message never go back in time or position', async (t) => {
  const name = newName()
  await store(pool, [record(0, name)], { room: 1 })
  const messageId = await idOf(pool, name)
  // A clock that was set back, and a cluster that was restored: the message's last event lies ahead.
  await pool.query(
    `update message_states set recorded_at = now() + interval '1 hour', position = 9e15 where message_id = $1`,
    [messageId],
  )
  await store(pool, [record(0, name)])
  const { rows } = await pool.query(
    `select recorded_at > now() + interval '59 minutes' as later, position from message_events
     where message_id = $1 and version = 3`,
    [messageId],
  )
  t.strictSame(rows, [{ later: true, position: '9000000000000000' }])
})
