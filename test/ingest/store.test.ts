import type { Pool } from 'pg'
import pg from 'pg'
import t from 'tap'
import { decode } from '../../src/ingest/decode.ts'
import { store } from '../../src/ingest/store.ts'
import { advanceIds } from '../../src/log/write/advance-ids.ts'
import type { Slice } from '../../src/log/write/ingest.ts'
import { session, waitsFor } from '../log/support.ts'
import { database } from '../support/database.ts'
import { readRecords, recordLines, RecordingLane } from './harness.ts'

t.test('a slice is stored, and the reservation ends by its claims', async (t) => {
  const { pool } = await database(t)
  const options = optionsFor(pool)
  options.lane.room = 1
  const passed: string[] = []
  const answer = await store({ ...options, failpoint: (name) => passed.push(name) }, sliceOf(['a', 'b']))
  t.strictSame(answer, { kind: 'stored', nextOffset: 2n, results: ['received', 'received'] })
  t.match(options.lane, { claims: [{ transactionId: 'a' }], started: 1, ended: 1 })
  t.strictSame(passed, ['ingest.before_commit', 'ingest.after_commit'])
  const { rows } = await pool.query('select distinct actor from message_events order by 1')
  t.strictSame(rows, [{ actor: 'me/fresh' }, { actor: 'me/ingest' }])
})

t.test('a slice above the stored next offset is not stored, and the room goes back', async (t) => {
  const { pool } = await database(t)
  const options = optionsFor(pool)
  await store(options, sliceOf(['a', 'b']))
  t.strictSame(await store(options, sliceOf(['c'], 3)), { kind: 'ahead', nextOffset: 2n })
  t.match(options.lane, { released: 1, ended: 2 })
})

t.test('a race that was lost is run again, in the same order', async (t) => {
  const { pool } = await database(t)
  await failInserts(pool, { errcode: '40001', until: 3 })
  const options = optionsFor(pool)
  t.match(await store(options, sliceOf(['a', 'b'])), { kind: 'stored', results: ['received', 'received'] })
  t.match(options.lane, { released: 2, started: 1, ended: 3 })
})

t.test('a race that is lost again and again ends as an error', async (t) => {
  const { pool } = await database(t)
  await failInserts(pool, { errcode: '40P01', until: 1_000 })
  const options = optionsFor(pool)
  await t.rejects(store(options, sliceOf(['a'])), { code: '40P01' })
  t.match(options.lane, { released: 6, ended: 6 })
})

t.test(
  'one record that PostgreSQL refuses is stored as rejected, with its bytes, and the others are messages',
  async (t) => {
    const { pool } = await database(t)
    await refuseValues(pool, 'inbox', `new.transaction_id = 'poison'`)
    const options = optionsFor(pool)
    const ids = ['a', 'b', 'c', 'poison', 'd', 'e', 'f']
    const answer = await store(options, sliceOf(ids))
    t.match(answer, { kind: 'stored', nextOffset: 7n })
    t.strictSame(answer.kind === 'stored' && answer.results.map((result) => result[2]).join(''), 'cccjccc')
    const records = await readRecords(pool, 'topic')
    t.strictSame(
      records.map((record) => record.transaction_id),
      ['a', 'b', 'c', 'record:topic:0:3', 'd', 'e', 'f'],
    )
    t.match(records[3], { type: 'rejected', reason: 'PostgreSQL refused the record (SQLSTATE 22021).' })
    const { rows } = await pool.query<{ payload: Buffer }>(`select payload from records where not is_json`)
    t.match(rows, [{ payload: Buffer.from('{"transaction_id":"poison"}') }])
    t.match(options.lines, [{ event: 'record refused by PostgreSQL', offset: 3 }])
    t.equal(options.lane.answersLost, 0)
  },
)

t.test('a record whose bytes are what PostgreSQL refuses is stored as rejected without them', async (t) => {
  const { pool } = await database(t)
  await refuseValues(pool, 'records', 'new.payload_bytes = 27 and new.payload is not null')
  const options = optionsFor(pool)
  t.match(await store(options, sliceOf(['a', 'poison', 'b'])), { kind: 'stored', nextOffset: 3n })
  t.match(await readRecords(pool, 'topic'), [
    { type: 'received' },
    { type: 'rejected' },
    { type: 'received' },
  ])
  const { rows } = await pool.query(`select payload_state, payload_bytes from records where payload is null`)
  t.strictSame(rows, [{ payload_state: 'absent', payload_bytes: 27 }])
})

t.test('what PostgreSQL refuses in every form is an error, and no record is lost to it', async (t) => {
  const { pool } = await database(t)
  await refuseValues(pool, 'records', 'true')
  const options = optionsFor(pool)
  await t.rejects(store(options, sliceOf(['a', 'b'])), { code: '22021' })
  t.strictSame(await readRecords(pool, 'topic'), [])
  t.equal(options.lane.answersLost, 0)
})

t.test('a value that PostgreSQL itself cannot take is refused as one', async (t) => {
  const { pool } = await database(t)
  const slice = sliceOf(['a', 'odd', 'b'])
  const records = slice.records.map((each) => ({
    ...each,
    headers: each.transactionId === 'odd' ? '[["name",' : null,
  }))
  t.match(await store(optionsFor(pool), { ...slice, records }), { kind: 'stored', nextOffset: 3n })
  const stored = await readRecords(pool, 'topic')
  t.match(stored[1], { type: 'rejected', reason: 'PostgreSQL refused the record (SQLSTATE 22P02).' })
})

t.test(
  'what the log does not take for a fault of its own is no fault of the record: those before it are stored, and it waits',
  async (t) => {
    const { pool } = await database(t)
    for (const errcode of ['23514', '23505', '23000']) {
      const partition = Number(errcode) % 1_000
      await refuseValues(pool, 'inbox', `new.transaction_id = 'd-${errcode}'`, errcode)
      const ids = ['a', 'b', 'c', 'd', 'e'].map((id) => `${id}-${errcode}`)
      const slice = { ...sliceOf(ids), partition }
      const options = optionsFor(pool)
      await t.rejects(store(options, slice), { message: /record at offset 3: .*not to be had/ })
      const { rows: stored } = await pool.query(
        'select type, kafka_offset::int as at from message_events where partition = $1 order by 2',
        [partition],
      )
      t.strictSame(
        stored,
        [0, 1, 2].map((at) => ({ type: 'received', at })),
        errcode,
      )
      t.strictSame(options.lines, [], 'nothing is said to be refused')
      t.equal(options.lane.answersLost, 0)
      await pool.query('drop trigger refuse on inbox; drop function refuse()')
      t.match(await store(options, slice), { kind: 'stored', nextOffset: 5n }, 'mended, it goes on')
    }
  },
)

t.test(
  'new ids that others have are no fault of the records: the sequence is moved up, and they are stored',
  async (t) => {
    const { pool } = await database(t)
    const options = optionsFor(pool)
    for (const [partition, ids] of [['a', 'b'], ['c', 'd'], ['e']].entries())
      await store(options, { ...sliceOf(ids), partition })
    // What a logical upgrade leaves, where sequences are not replicated.
    await pool.query(`select setval('message_ids', (select max(message_id) from messages) - 2)`)
    await pool.query(`select setval(pg_get_serial_sequence('partitions', 'partition_id'), 1, false)`)
    t.match(await store(options, { ...sliceOf(['f', 'g', 'h']), partition: 3 }), {
      kind: 'stored',
      results: ['received', 'received', 'received'],
    })
    t.match(options.lines, [
      { level: 40, event: /ids were below ids in the log/, ids: 'message_ids' },
      {
        level: 40,
        event: /ids were below ids in the log/,
        ids: 'public.partitions_partition_id_seq',
        was: '1',
        became: '3',
      },
    ])
    const { rows } = await pool.query(
      `select count(distinct message_id)::int as messages, array_agg(distinct status) as statuses from messages`,
    )
    t.strictSame(rows, [{ messages: 8, statuses: ['pending'] }])
  },
)

t.test('a sequence is never moved back, and whoever takes an id meanwhile is waited for', async (t) => {
  const { pool, url } = await database(t)
  await store(optionsFor(pool), sliceOf(['a']))
  await pool.query(`select setval('message_ids', 1000)`)
  t.strictSame(await advanceIds(pool), [])
  await pool.query(`select setval('message_ids', 1, false)`)
  const other = await session(t, url)
  const mending = await session(t, url)
  // One id is there, and the sequence is at none.
  await pool.query(
    `insert into message_states select (jsonb_populate_record(s, '{"message_id": 20}')).* from message_states s`,
  )
  await other.database.query('begin')
  await other.database.query(`select nextval('message_ids')`)
  const advancing = advanceIds(mending.database)
  await waitsFor(pool, mending, other, advancing)
  await other.database.query(`select nextval('message_ids') from generate_series(1, 50)`)
  await other.database.query('rollback')
  t.strictSame(await advancing, [])
  const { rows } = await pool.query<{ id: string }>(`select nextval('message_ids') as id`)
  t.equal(rows[0]!.id, '52')
})

t.test(
  'a lost connection leaves the reservation without an answer if it had room, and is an error',
  async (t) => {
    const { url, pool } = await database(t)
    await killOnInsert(pool)
    // The session is ended in the middle of the statement, as by a crash.
    const doomed = new pg.Pool({ connectionString: url })
    doomed.on('error', () => undefined)
    t.teardown(() => doomed.end())
    const options = optionsFor(doomed)
    options.lane.room = 5
    await t.rejects(store(options, sliceOf(['a'])))
    t.match(options.lane, { answersLost: 1, ended: 1 })
    options.lane.room = 0
    await t.rejects(store(options, sliceOf(['a'])))
    t.match(options.lane, { answersLost: 1, released: 1, ended: 2 }, 'without room no attempt can be open')
  },
)

function optionsFor(pool: Pool) {
  const { logger, lines } = recordLines()
  return {
    database: pool,
    lane: new RecordingLane(),
    instance: 'me',
    leaseMs: 60_000,
    logger,
    lines,
    failpoint: (): void => undefined,
  }
}

function sliceOf(ids: string[], from = 0): Slice {
  const records = ids.map((id, at) => {
    const value = Buffer.from(JSON.stringify({ transaction_id: id }))
    const offset = String(from + at)
    return decode({ key: null, value, timestamp: '1', attributes: 0, offset, headers: {} }, 'topic', 0, 1_000)
  })
  return {
    topic: 'topic',
    partition: 0,
    incarnation: 1,
    first: BigInt(from),
    next: BigInt(from + ids.length),
    records,
    holes: [],
  }
}

/** Has PostgreSQL refuse rows as it refuses what is no character of its encoding, or with another code. */
async function refuseValues(pool: Pool, table: string, condition: string, errcode = '22021'): Promise<void> {
  await pool.query(`create function refuse() returns trigger language plpgsql as $$ begin
      if ${condition} then raise exception 'not to be had' using errcode = '${errcode}'; end if;
      return new;
    end $$;
    create trigger refuse before insert on ${table} for each row execute function refuse()`)
}

/** The first `until` - 1 statements that insert into the log fail; a sequence is not rolled back. */
async function failInserts(
  pool: Pool,
  { errcode, until }: { errcode: string; until: number },
): Promise<void> {
  await pool.query(`create sequence failures;
    create function fail() returns trigger language plpgsql as $$ begin
      if nextval('failures') < ${until} then raise exception 'race' using errcode = '${errcode}'; end if;
      return null;
    end $$;
    create trigger fail after insert on records for each statement execute function fail()`)
}

async function killOnInsert(pool: Pool): Promise<void> {
  await pool.query(`create function kill() returns trigger language plpgsql security definer as $$ begin
      perform pg_terminate_backend(pg_backend_pid());
      return null;
    end $$;
    create trigger kill after insert on records for each statement execute function kill()`)
}
