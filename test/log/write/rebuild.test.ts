import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import type pg from 'pg'
import { countByStatus } from '../../../src/log/read/count-by-status.ts'
import { advanceDestination } from '../../../src/log/write/advance-destination.ts'
import { foldCounts } from '../../../src/log/write/fold-counts.ts'
import type { Difference } from '../../../src/log/write/rebuild.ts'
import type { MessageId } from '../../../src/message/message.ts'
import { database } from '../../support/database.ts'
import { program } from '../../support/program.ts'
import { rebuildAll } from '../../support/rebuild.ts'
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
  retry,
  session,
  settle,
  settleOne,
  settlement,
  startAttempt,
  stateOf,
  store,
  unavailable,
  unknown,
  waitsFor,
} from '../support.ts'

/** Every status, every kind of event, with what each leaves behind. */
async function fill(pool: pg.Pool): Promise<void> {
  const name = newName()
  await store(pool, [
    record(0, name),
    record(1, name),
    record(2, name, { bytes: 'other' }),
    rejectedRecord(3, 'x', 60),
  ])
  const [success, failed, dead, late, superseded] = await openAttempts(pool, 5)
  await settle(pool, fresh, [
    settlement(success!, 1, accepted),
    settlement(failed!, 1, unavailable),
    settlement(dead!, 1, refused, deadLetter),
    settlement(late!, 1, unknown),
    settlement(superseded!, 1, unknown),
  ])
  for (const id of [late!, superseded!]) await startAttempt(pool, id, 'instance-2/retry')
  await settleOne(pool, fresh, late!, 1, unavailable)
  await settleOne(pool, fresh, superseded!, 1, accepted)
  const { transaction_id } = await stateOf(pool, dead!)
  await pool.query(`select replay_messages(array[$1], 'alice', 'again', null)`, [transaction_id])
  const { transaction_id: delivered } = await stateOf(pool, success!)
  await pool.query(`select expunge(array[$1], 'alice', 'asked')`, [delivered])
}

async function states(pool: pg.Pool): Promise<unknown[]> {
  const { rows } = await pool.query<object>('select * from message_states order by message_id')
  return rows
}

t.test('nothing differs from the log that the functions wrote', async (t) => {
  const { pool } = await database(t)
  await fill(pool)
  const before = await states(pool)
  t.strictSame(await rebuildAll(pool), [])
  t.strictSame(await states(pool), before)
})

t.test('an empty log has nothing to rebuild', async (t) => {
  const { pool } = await database(t)
  t.strictSame(await rebuildAll(pool), [])
})

t.test('every column that differs is named and repaired', async (t) => {
  const { pool } = await database(t)
  await fill(pool)
  const before = await states(pool)
  const messageId = await openAttempt(pool)
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  const sound = [...before, await stateOf(pool, messageId)]
  await pool.query(
    `update message_states set transaction_id = 'x', version = 9, status = 'dead_letter', retry_count = 7, attempts = 8,
       lease_ends_at = null, claimed_by = null, error_message = 'x', outcome_unknown = true, position = 1,
       created_at = created_at - interval '1 day', updated_at = updated_at - interval '1 day',
       recorded_at = recorded_at - interval '1 day'
     where message_id = $1`,
    [messageId],
  )
  const differences = await rebuildAll(pool)
  const columns = differences.filter((each) => each.kind === 'column')
  t.strictSame(
    columns.map((each) => each.column),
    [
      'attempts',
      'claimed_by',
      'created_at',
      'error_message',
      'lease_ends_at',
      'outcome_unknown',
      'position',
      'recorded_at',
      'retry_count',
      'status',
      'transaction_id',
      'updated_at',
      'version',
    ],
  )
  t.ok(columns.every((each) => each.messageId === messageId && each.transactionId === transactionId))
  t.match(
    columns.find((each) => each.column === 'status')!,
    { was: 'dead_letter', is: 'processing' },
  )
  t.match(
    columns.find((each) => each.column === 'claimed_by')!,
    { was: 'null', is: fresh },
  )
  t.equal(differences.length, columns.length, 'the counts were right')
  t.strictSame(await states(pool), sound)
  t.strictSame(await rebuildAll(pool), [])
})

t.test('a missing state is put back, and one without an event removed', async (t) => {
  const { pool } = await database(t)
  await fill(pool)
  const before = await states(pool)
  const gone = await pendingMessage(pool)
  const state = await stateOf(pool, gone)
  await pool.query(
    `insert into message_states select (jsonb_populate_record(s, '{"message_id": 999999, "transaction_id": "ghost"}')).*
     from message_states s where message_id = ${gone}`,
  )
  await pool.query('delete from message_states where message_id = $1', [gone])
  t.strictSame(await rebuildAll(pool), [
    { kind: 'missing', messageId: gone, transactionId: state.transaction_id, status: 'pending' },
    { kind: 'surplus', messageId: '999999', transactionId: 'ghost', status: 'pending' },
  ])
  t.strictSame(await states(pool), [...before, state])
  t.strictSame(await rebuildAll(pool), [])
})

t.test('what a repair made due wakes whoever waits', async (t) => {
  const { pool, url } = await database(t)
  await pendingMessage(pool)
  await pool.query(`update message_states set due_at = null`)
  const listener = await session(t, url)
  const heard: string[] = []
  const client = await listener.database.connect()
  client.on('notification', ({ channel }) => heard.push(channel))
  await client.query('listen message_due')
  t.equal((await rebuildAll(pool)).length, 1)
  await client.query('select 1')
  client.release()
  t.strictSame(heard, ['message_due'])
})

t.test('an inbox row that is missing is put back, and duplicates are known again', async (t) => {
  const { pool } = await database(t)
  const name = newName()
  await store(pool, [record(0, name), record(1, newName())])
  const messageId = await idOf(pool, name)
  const before = await pool.query('select * from inbox order by message_id')
  await pool.query('alter table inbox disable trigger all')
  await pool.query('delete from inbox where message_id = $1', [messageId])
  await pool.query('alter table inbox enable always trigger append_only')
  t.strictSame(await rebuildAll(pool), [{ kind: 'inbox', messageId, transactionId: name }])
  t.strictSame((await pool.query('select * from inbox order by message_id')).rows, before.rows)
  t.strictSame((await store(pool, [record(0, name)])).results, ['duplicate'])
  t.strictSame(await rebuildAll(pool), [])
})

t.test('an identity that the inbox gives to another message is named', async (t) => {
  const { pool } = await database(t)
  const name = newName()
  await store(pool, [record(0, name)])
  const messageId = await idOf(pool, name)
  await pool.query('alter table inbox disable trigger all')
  await pool.query('update inbox set message_id = 77')
  const differences = await rebuildAll(pool)
  t.match(differences, [{ kind: 'contradiction', messageId, transactionId: name, was: /^77 / }])
  t.equal(differences.length, 1)
})

t.test('wrong counts are corrected, folded or not', async (t) => {
  const { pool } = await database(t)
  await fill(pool)
  const before = await countByStatus(pool)
  await pool.query('update status_count_folds set success = 40, failed = failed - 3')
  await pool.query('insert into status_count_deltas values (current_position(), 1, 0, 0, 0, 2)')
  t.strictSame(await rebuildAll(pool), [
    { kind: 'count', status: 'pending', was: String(before.pending + 1), is: String(before.pending) },
    { kind: 'count', status: 'success', was: String(before.success + 40), is: String(before.success) },
    { kind: 'count', status: 'failed', was: String(before.failed - 3), is: String(before.failed) },
    {
      kind: 'count',
      status: 'dead_letter',
      was: String(before.dead_letter + 2),
      is: String(before.dead_letter),
    },
  ])
  t.strictSame(await countByStatus(pool), before)
  await foldCounts(pool)
  t.strictSame(await countByStatus(pool), before)
  t.strictSame(await rebuildAll(pool), [])
  await pool.query('truncate status_count_folds, status_count_deltas')
  const lost = (await rebuildAll(pool)).filter(({ kind }) => kind === 'count')
  t.equal(lost.length, Object.values(before).filter((count) => count > 0).length)
  t.strictSame(await countByStatus(pool), before)
})

t.test(
  'a broken state that somebody holds is repaired after they committed, by what they wrote',
  async (t) => {
    const { pool, url } = await database(t)
    const messageId = await openAttempt(pool)
    await pool.query(`update message_states set error_message = 'x', retry_count = 3`)
    const settler = await session(t, url)
    const rebuilder = await session(t, url)
    await settler.database.query('begin')
    t.equal(await settleOne(settler.database, fresh, messageId, 1, unavailable), 'appended')
    const rebuilding = rebuildAll(rebuilder.database)
    await waitsFor(pool, rebuilder, settler, rebuilding)
    await settler.database.query('commit')
    t.strictSame(
      await rebuilding,
      [
        { kind: 'rollup', minute: null, measure: 'retries', bucket: 0, was: '1', is: '0' },
        { kind: 'rollup', minute: null, measure: 'retries', bucket: 3, was: '-1', is: '0' },
      ],
      'the outcome had mended error_message, and taken retry_count as it was, which nothing had counted',
    )
    t.match(await stateOf(pool, messageId), { status: 'failed', retry_count: 4, error_message: 'HTTP 503' })
  },
)

t.test('an outcome that waits for a repair is appended to what was repaired', async (t) => {
  const { pool, url } = await database(t)
  const messageId = await openAttempt(pool)
  await pool.query(`update message_states set attempts = 0, outcome_unknown = true`)
  const settler = await session(t, url)
  const rebuilder = await session(t, url)
  await rebuilder.database.query('begin')
  t.equal((await rebuildAll(rebuilder.database)).length, 2)
  const settling = settleOne(settler.database, fresh, messageId, 1, accepted)
  await waitsFor(pool, settler, rebuilder, settling)
  await rebuilder.database.query('commit')
  t.equal(await settling, 'appended')
  t.match(await stateOf(pool, messageId), { status: 'success', attempts: 1, outcome_unknown: false })
})

t.test('beside live writers only what is broken is named, and they are not disturbed', async (t) => {
  const { pool, url } = await database(t)
  const broken = await pendingMessage(pool)
  const { database: own } = await session(t, url)
  const written = new AbortController()
  const rebuilding = (async () => {
    const found: Difference[] = []
    let rounds = 0
    while (!written.signal.aborted || rounds === 0) {
      await own.query('update message_states set attempts = 5 where message_id = $1', [broken])
      await own.query(`insert into status_count_deltas values (current_position(), 1, 0, 0, 0, 0)`)
      found.push(...(await rebuildAll(own)))
      rounds++
    }
    return { found, rounds }
  })()
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let round = 0; round < 12; round++) {
        const ids = await openAttempts(pool, 25)
        const answers = await settle(
          pool,
          fresh,
          ids.map((id, at) => settlement(id, 1, at % 2 === 0 ? accepted : unavailable)),
        )
        t.ok(answers.every((answer) => answer === 'appended'))
        await foldCounts(pool)
      }
    }),
  )
  written.abort()
  const { found, rounds } = await rebuilding
  t.equal(found.length, 2 * rounds)
  t.ok(found.every((each) => each.kind === 'count' || (each.kind === 'column' && each.messageId === broken)))
  t.ok(found.every((each) => each.kind !== 'count' || each.status === 'pending'))
  t.strictSame(await rebuildAll(pool), [])
  t.match(await countByStatus(pool), {
    pending: 1,
    processing: 0,
    success: 624,
    failed: 576,
    dead_letter: 0,
  })
})

t.test('more messages than one chunk are all looked at', async (t) => {
  const { pool } = await database(t)
  for (let slice = 0; slice < 5; slice++) {
    await store(
      pool,
      Array.from({ length: 500 }, (_, at) => record(at, newName())),
    )
  }
  await pool.query('update message_states set attempts = 1 where message_id % 100 = 0')
  await pool.query('delete from message_states where message_id % 100 = 1')
  const differences = await rebuildAll(pool)
  t.equal(differences.filter((each) => each.kind === 'column').length, 25)
  t.equal(differences.filter((each) => each.kind === 'missing').length, 25)
  t.strictSame(await rebuildAll(pool), [])
})

/** The destination is held, and a probe is open. */
async function holdWithProbe(pool: pg.Pool): Promise<MessageId> {
  const [failing, due] = await openAttempts(pool, 2)
  await settle(pool, fresh, [
    settlement(failing!, 1, unavailable, { then: 'retry', delayMs: 3_600_000 }),
    settlement(due!, 1, unavailable),
  ])
  await advanceDestination(
    pool,
    'default',
    'instance-1/guard',
    { holdAfter: 2, brakeAfter: 0, probeEveryMs: 0 },
    0,
  )
  t.match((await lookOnce(pool, 'retry')).claims, [{ messageId: due! }])
  return due!
}

async function destinations(pool: pg.Pool): Promise<Record<string, unknown>[]> {
  return (await pool.query<Record<string, unknown>>('select * from destinations order by destination')).rows
}

t.test('a destination that is held is left as it is, with its counts and its probe', async (t) => {
  const { pool } = await database(t)
  await holdWithProbe(pool)
  await pool.query('update destinations set probes = 2')
  const before = await destinations(pool)
  t.strictSame(await rebuildAll(pool), [])
  t.strictSame(await destinations(pool), before)
})

t.test('what a destination’s row says besides its decisions is named and repaired', async (t) => {
  const { pool } = await database(t)
  const probe = await holdWithProbe(pool)
  const [sound] = await destinations(pool)
  await pool.query(`update destinations set decision = 0, state = 'flowing', cause = null, since = null, until = now(), failures = 9,
    next_probe_at = null, probe_delay_ms = null, probe_message_id = null, probe_attempt = null, probe_ends_at = null`)
  const found = await rebuildAll(pool)
  t.match(
    found.map((each) => each.kind === 'destination' && `${each.column}: ${each.was} is ${each.is}`),
    [
      'cause: null is failures',
      'decision: 0 is 1',
      /^since: null is 2/,
      'state: flowing is held',
      /^until: 2.* is null$/,
    ],
  )
  const [repaired] = await destinations(pool)
  const others = { last_reason: null, next_probe_at: null, probe_delay_ms: null, probe_ends_at: null }
  t.strictSame({ ...repaired, ...others }, { ...sound, ...others }, 'the probe that is open is known again')
  t.match(repaired, { probe_message_id: probe, probe_delay_ms: '5000' })
  t.same((await lookOnce(pool, 'retry')).claims, [], 'no second probe starts beside it')
  await settleOne(pool, retry, probe, 2, accepted)
  t.match(await destinations(pool), [{ probes: 1, probe_message_id: null }])
  t.strictSame(await rebuildAll(pool), [])
})

t.test('a hold that would never be probed is probed again', async (t) => {
  const { pool } = await database(t)
  await holdWithProbe(pool)
  await pool.query('update destinations set next_probe_at = null')
  t.strictSame(await rebuildAll(pool), [
    { kind: 'destination', destination: 'default', column: 'next_probe_at', was: 'missing', is: 'set' },
  ])
  t.ok((await destinations(pool))[0]?.next_probe_at)
})

t.test('a destination that has no row gets one, with and without decisions', async (t) => {
  const { pool } = await database(t)
  await pool.query('delete from destinations')
  const lost = { kind: 'destination', destination: 'default', column: null, was: null }
  await t.rejects(lookOnce(pool, 'fresh'), /there is no destination default/)
  t.strictSame(await rebuildAll(pool), [{ ...lost, is: 'flowing' }])
  t.match(await destinations(pool), [{ decision: 0, state: 'flowing', cause: null, since: null }])
  await pool.query(`select pause_destination('default', 'alice', 'why', now() + interval '1 hour')`)
  const before = await destinations(pool)
  await pool.query('delete from destinations')
  t.strictSame(await rebuildAll(pool), [{ ...lost, is: 'paused' }])
  t.strictSame(await destinations(pool), before)
})

t.test('a repair of a destination waits for who has entered it, and tells every instance', async (t) => {
  const { pool, url } = await database(t)
  await pool.query(`select pause_destination('default', 'alice', 'why')`)
  await pool.query(`update destinations set state = 'flowing'`)
  const looker = await session(t, url)
  const rebuilder = await session(t, url)
  const listener = await session(t, url)
  const heard: string[] = []
  const client = await listener.database.connect()
  client.on('notification', ({ channel, payload }) => heard.push(`${channel} ${payload}`))
  await client.query('listen destination_changed')
  await looker.database.query('begin')
  await lookOnce(looker.database, 'fresh')
  const rebuilding = rebuildAll(rebuilder.database)
  await waitsFor(pool, rebuilder, looker, rebuilding)
  await looker.database.query('commit')
  t.strictSame(await rebuilding, [
    { kind: 'destination', destination: 'default', column: 'state', was: 'flowing', is: 'paused' },
  ])
  await client.query('select 1')
  client.release()
  t.strictSame(heard, ['destination_changed default'])
})

async function run(
  url: string,
  ...flags: string[]
): Promise<{ code: number | null; output: string; errors: string }> {
  const child = spawn(process.execPath, [...program('commands/rebuild'), ...flags], {
    env: { PATH: process.env.PATH, DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [output, errors] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  await once(child, 'close')
  return { code: child.exitCode, output, errors }
}

t.test('the command exits 1 and names what it repaired, then 0', async (t) => {
  const { pool, url } = await database(t)
  const messageId = await openAttempt(pool)
  const { transaction_id } = await stateOf(pool, messageId)
  await pool.query(`update message_states set status = 'success'`)
  await pool.query(`update destinations set cause = 'operator'`)
  const first = await run(url)
  t.match(first, { code: 1, errors: '' })
  t.match(
    first.output,
    `message ${messageId} (${transaction_id}): status was success, is processing; repaired`,
  )
  t.match(first.output, 'destination default: cause was operator, is null; repaired')
  t.strictSame(await run(url), { code: 0, output: 'Nothing differed from the log.\n', errors: '' })
})

t.test('the command changes nothing if it is asked for help or does not know a word', async (t) => {
  const { pool, url } = await database(t)
  await openAttempt(pool)
  await pool.query(`update message_states set status = 'success'`)
  for (const word of ['--help', '--dry-run', 'all']) await run(url, word)
  const { rows } = await pool.query(`select status from message_states`)
  t.strictSame(rows, [{ status: 'success' }], 'what differs from the log is still there')
})

t.test('the command exits 2 with one sentence if there is no database', async (t) => {
  const { code, output, errors } = await run('postgresql://postgres@127.0.0.1:1/nowhere')
  t.strictSame([code, output], [2, ''])
  t.match(errors, /^The database cannot be reached: .+\.\n$/)
})
