import t from 'tap'
import { recognizeServer } from '../../../src/log/server/recognize-server.ts'
import { ingest } from '../../../src/log/write/ingest.ts'
import { recordAccesses } from '../../../src/log/write/record-accesses.ts'
import { registerInstance } from '../../../src/log/write/register-instance.ts'
import { database } from '../../support/database.ts'
import { actor, newName, rejectedRecord, record, session, store, topic } from '../support.ts'

const { pool, url } = await database(t)

const ground = {
  message_events: 'actor',
  inbox: 'transaction_id',
  records: 'payload_state',
  partition_advances: 'actor',
  partition_holes: 'actor',
  partition_decisions: 'actor',
  destination_decisions: 'actor',
  instances: 'release',
  log_epochs: 'actor',
  server_changes: 'actor',
  log_segments: 'segment',
  segment_archives: 'name',
  archived_rollups: 'measure',
  archived_failures: 'pattern',
  archived_duplicates: 'actor',
  message_events_s1: 'actor',
  records_s1: 'payload_state',
  replay_jobs: 'reason',
  replay_job_events: 'reason',
  accesses: 'actor',
}

t.before(async () => {
  await store(pool, [record(0, newName()), rejectedRecord(1, 'x', 1)], { partition: 1 })
  const hole = {
    topic,
    partition: 1,
    incarnation: 1,
    first: 2n,
    next: 3n,
    records: [record(2, newName())],
    holes: [{ first: 2n, next: 3n }],
  }
  await ingest(
    pool,
    { ...hole, first: 2n, next: 4n, records: [record(3, newName())] },
    { actor, lane: actor, room: 0, leaseMs: 1 },
  )
  await pool.query(`select stop_partition($1, 1, 1, 4, null, 'because', 'ingest-1')`, [topic])
  await pool.query(`select pause_destination('default', 'alice', 'because')`)
  await pool.query(`insert into segment_archives (segment, first_message_id, next_message_id, name, manifest_sha256, messages, events,
      success, dead_letter, received, duplicates, conflicts, rejected, actor, reason)
    values (99, 99000001, 99000002, 'segment', '', 0, 0, 0, 0, 0, 0, 0, 0, 'alice', 'old')`)
  await pool.query(`insert into archived_rollups values (99, now(), 'attempts', 0, 1)`)
  await pool.query(`insert into archived_failures values (99, now(), 'HTTP 503', 1, now(), '{99000001}')`)
  await pool.query(
    `insert into archived_duplicates (topic, partition, incarnation, kafka_offset, message_id, recorded_at,
      payload_bytes, payload_sha256, actor)
    values ($1, 9, 1, 0, 99000001, now(), 0, '', 'ingest-1')`,
    [topic],
  )
  await pool.query(`insert into replay_plans (plan, planned_at, expires_at, actor, reason, filter, dead_letters, outcome_unknown,
      past_key_window, by_pattern, by_cause, not_replayable)
    values (1, now(), now(), 'alice', 'why', '{}', 0, 0, 0, '[]', '[]', '[]')`)
  await pool.query(
    `insert into replay_jobs (job, kind, started_at, actor, reason, is_confirmed) values (1, 'replay', now(), 'alice', 'why', false)`,
  )
  await pool.query(
    `insert into replay_job_events (job, version, recorded_at, type, actor, reason) values (1, 1, now(), 'started', 'alice', 'why')`,
  )
  await recordAccesses(pool, [{ kind: 'exported', actor: 'alice' }])
  await recognizeServer(pool, 'instance-1', null, null)
  await registerInstance(pool, {
    instance: 'instance-1',
    release: '1.2.3',
    freshMax: 50,
    retryMax: 5,
    leaseMs: 60_000,
    timeoutMs: 30_000,
    retry: { retriesMax: 5, baseDelayMs: 60_000, maxDelayMs: 3_600_000 },
  })
})

for (const [table, column] of Object.entries(ground)) {
  t.test(`${table} is appended to and never changed, not even by its owner`, async (t) => {
    const before = await pool.query(`select * from ${table}`)
    t.ok(before.rows.length > 0, 'there is something to change')
    for (const role of ['origin', 'replica']) {
      const { database } = await session(t, url)
      await database.query(`set session_replication_role = ${role}`)
      const change = { code: '42501', message: /append-only/ }
      await t.rejects(database.query(`update ${table} set ${column} = ${column}`), change)
      await t.rejects(database.query(`delete from ${table}`), change)
      await t.rejects(database.query(`delete from ${table} where false`), change)
      await t.rejects(database.query(`truncate ${table} cascade`), change)
    }
    t.strictSame((await pool.query(`select * from ${table}`)).rows, before.rows)
  })
}

t.test('truncating what ground tables refer to does not reach them', async (t) => {
  await t.rejects(pool.query('truncate partitions cascade'), { code: '42501' })
})

t.test('nobody writes past the log into a partition of its', async (t) => {
  for (const table of ['message_events', 'records']) {
    const insert = `insert into ${table}_s1 select * from ${table} limit 1`
    await t.rejects(pool.query(insert), { code: '42501', message: /append-only/ })
  }
})

t.test('every ground table is named here', async (t) => {
  const { rows } = await pool.query<{ name: string }>(
    `select tgrelid::regclass::text as name from pg_trigger where tgname = 'append_only' and tgenabled = 'A' order by 1`,
  )
  t.strictSame(
    rows.map((row) => row.name),
    Object.keys(ground).sort(),
  )
})

t.test('an instance that registers again is the same instance', async (t) => {
  const before = await pool.query('select * from instances')
  await pool.query(`select register_instance('instance-1', '9.9.9', 1, 1, 1, 1, 1, 1, 1)`)
  t.strictSame((await pool.query('select * from instances')).rows, before.rows)
})
