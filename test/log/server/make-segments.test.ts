import t from 'tap'
import { makeSegments } from '../../../src/log/server/make-segments.ts'
import { advanceIds } from '../../../src/log/write/advance-ids.ts'
import { recordAccesses } from '../../../src/log/write/record-accesses.ts'
import { database } from '../../support/database.ts'
import { newName, record, session, store } from '../support.ts'

type Segment = { segment: number; first: string; next: string }

async function segments({ pool }: Awaited<ReturnType<typeof database>>): Promise<Segment[]> {
  const { rows } = await pool.query<Segment>(
    `select segment, first_message_id as first, next_message_id as next from log_segments order by segment`,
  )
  return rows
}

t.test(
  'one whole segment is always ahead of the last message, and a new size counts from the next one',
  async (t) => {
    const own = await database(t)
    t.strictSame(await segments(own), [{ segment: 1, first: '1', next: '5000001' }])
    t.equal(await makeSegments(own.pool, 5_000_000), 0)
    await own.pool.query(`select setval('message_ids', 1)`)
    t.equal(await makeSegments(own.pool, 5_000_000), 1)
    t.equal(await makeSegments(own.pool, 1_000), 0, 'there is enough ahead')
    await own.pool.query(`select setval('message_ids', 9999500)`)
    t.equal(await makeSegments(own.pool, 1_000), 1)
    t.strictSame((await segments(own)).slice(1), [
      { segment: 2, first: '5000001', next: '10000001' },
      { segment: 3, first: '10000001', next: '10001001' },
    ])
  },
)

t.test(
  'ids that jump, as after a failover, find a segment, and the next ones have the usual size',
  async (t) => {
    const own = await database(t)
    await own.pool.query(`select setval('message_ids', 60000000)`)
    await store(own.pool, [record(0, newName())])
    const found = await segments(own)
    t.strictSame(found.slice(0, 2), [
      { segment: 1, first: '1', next: '5000001' },
      { segment: 2, first: '5000001', next: '65000002' },
    ])
    t.strictSame(
      found.slice(2).map(({ first, next }) => Number(next) - Number(first)),
      found.slice(2).map(() => 5_000_000),
    )
    const { rows } = await own.pool.query<{ table: string }>(
      `select tableoid::regclass::text as table from message_events where message_id > 60000000
     union select tableoid::regclass::text from records union select tableoid::regclass::text from message_states order by 1`,
    )
    t.strictSame(
      rows.map((row) => row.table),
      ['message_events_s2', 'message_states_s2', 'records_s2'],
    )
  },
)

t.test('two sessions that make segments at once make each one once', async (t) => {
  const own = await database(t)
  await own.pool.query(`select setval('message_ids', 4999000)`)
  const sessions = [await session(t, own.url), await session(t, own.url)]
  const made = await Promise.all(sessions.map((each) => makeSegments(each.database, 2_000_000)))
  t.strictSame(made.sort(), [0, 1])
  t.equal((await segments(own)).length, 2)
})

t.test('ids of an archived segment, and others that are in use, are not given out again', async (t) => {
  const { pool } = await database(t)
  await pool.query(
    `insert into segment_archives (segment, first_message_id, next_message_id, name, manifest_sha256, messages, events, success,
       dead_letter, received, duplicates, conflicts, rejected, actor, reason)
     values (1, 1, 1001, 'a', '', 0, 0, 0, 0, 0, 0, 0, 0, 'ops', 'age')`,
  )
  await pool.query(
    `insert into replay_plans (plan, planned_at, expires_at, actor, reason, filter, dead_letters, outcome_unknown, past_key_window,
       by_pattern, by_cause, not_replayable)
     values (7, now(), now(), 'alice', 'a restore', '{}', 1, 0, 0, '[]', '[]', '[]')`,
  )
  await recordAccesses(pool, [{ kind: 'exported' }, { kind: 'exported' }])
  // As after a logical upgrade, which copies rows and no sequences: else no start could be recorded, and none would end.
  await pool.query(`select setval(pg_get_serial_sequence('accesses', 'access'), 1, false)`)
  t.strictSame(await advanceIds(pool), [
    { ids: 'message_ids', was: '0', became: '1000' },
    { ids: 'replay_plan_numbers', was: '0', became: '7' },
    { ids: 'public.accesses_access_seq', was: '0', became: '2' },
  ])
  t.strictSame(await advanceIds(pool), [])
  t.equal(await recordAccesses(pool, [{ kind: 'exported' }]), '3')
})
