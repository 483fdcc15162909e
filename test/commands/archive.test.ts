import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { Pool } from 'pg'
import t from 'tap'
import { inspectGround } from '../../src/log/server/inspect-ground.ts'
import { makeSegments } from '../../src/log/server/make-segments.ts'
import { migrate } from '../../src/runtime/migrate.ts'
import { inSnapshot } from '../../src/verify/in-snapshot.ts'
import { verify, type Report } from '../../src/verify/verify.ts'
import { database } from '../support/database.ts'
import { createRole } from '../support/roles.ts'
import { until } from '../support/until.ts'
import { archive, fill, first, second } from '../verify/archived.ts'

// Those that wait for a holder of the log, and hardly do anything meanwhile.
t.jobs = 5
const besides = { buffered: true }

// At its end the process tells its priority.
const tellsPriority = `import { getPriority } from 'node:os'; process.once('exit', () => console.error('priority', getPriority()))`

async function check(databaseUrl: string): Promise<Report> {
  return verify({ databaseUrl, ledgerPath: null, acksPath: null })
}

async function parts(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'message_events'::regclass order by 1`,
  )
  return rows.map(({ name }) => name)
}

async function isForgotten(pool: Pool): Promise<boolean> {
  const { rows } = await pool.query(
    `select from event_positions p
      where not exists (select from message_events e where e.message_id = any (p.message_ids))`,
  )
  return rows.length === 0
}

t.test('old segments are archived, the others are named with what holds them', async (t) => {
  const { url, pool, to } = await fill(t)
  const dry = await archive(url, ['--before', '0s', '--dry-run'])
  t.equal(dry.code, 0, dry.errors)
  t.match(
    dry.output,
    /^segment 1: can be archived\.\nsegment 2: can be archived\.\nsegment 3: stays, because 30 of its messages are not terminal, the oldest is message 61\.\nsegment 4: stays, because new messages get its ids, now or later\./,
  )
  const young = await archive(url, ['--before', '1d', '--to', to])
  t.match(young, { code: 0, output: /^segment 1: stays, because its last event is of 2/ })
  t.same(readdirSync(to), [])

  const { rows: lines } = await pool.query<{ n: string }>(
    'select count(*) as n from message_events where message_id <= 30',
  )
  const { code, output, errors } = await archive(url, ['--before', '0s', '--to', to, '--operator', 'alice'])
  t.equal(code, 0, errors)
  t.match(
    output,
    /^segment 1: archived in .*segment-000001-messages-1-30: \d+ messages, \d+ events\.\nsegment 2: archived in /,
  )
  t.same(readdirSync(to).sort(), [first, second])
  t.notOk((await parts(pool)).some((name) => /_s[12]$/.test(name)))
  const { rows } = await pool.query(
    'select segment, name, actor, reason, messages, events from segment_archives order by 1',
  )
  t.match(rows[0], {
    segment: 1,
    name: first,
    actor: 'alice',
    reason: 'older than 0s',
    events: lines[0]!.n,
  })

  await t.test('and a foreign reader can check the archive', (t) => {
    const folder = join(to, first)
    for (const name of ['.', ...readdirSync(folder)])
      t.equal(statSync(join(folder, name)).mode & 0o077, 0, `only its owner can read ${name}`)
    t.match(
      execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: folder, encoding: 'utf8' }),
      /manifest\.json: OK/,
    )
    const text = gunzipSync(readFileSync(join(folder, 'events.jsonl.gz')))
    const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Record<
      string,
      unknown
    >
    t.equal(createHash('sha256').update(text).digest('hex'), manifest.events_sha256)
    const events = text
      .toString('utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as ArchivedEvent)
    t.equal(events.length, Number(lines[0]!.n))
    for (const { record, payload_sha256 } of events)
      if (record?.payload_state === 'whole')
        t.equal(
          createHash('sha256').update(Buffer.from(record.payload!, 'base64')).digest('hex'),
          payload_sha256,
        )
    const order = events.map(({ message_id, version }) => message_id * 1_000 + version)
    t.same(
      order,
      order.toSorted((one, other) => one - other),
    )
    t.match(manifest, {
      format: 1,
      segment: 1,
      actor: 'alice',
      messages: { open: 0 },
      records: { received: Number },
    })
    t.end()
  })

  await t.test('a second run has nothing to do, and the log lacks nothing', async (t) => {
    t.match(await archive(url, ['--before', '0s', '--to', to]), { code: 0, output: /^segment 3: stays/ })
    t.same(await inspectGround(pool), [])
  })
})

type ArchivedEvent = {
  message_id: number
  version: number
  payload_sha256?: string
  record?: { payload: string | null; payload_state: string }
}

t.test('an archive has every column of the events and records', async (t) => {
  const { url, pool, to } = await fill(t)
  await archive(url, ['--before', '0s', '--to', to])
  const keys = new Set<string>()
  for (const name of [first, second])
    for (const line of gunzipSync(readFileSync(join(to, name, 'events.jsonl.gz')))
      .toString()
      .trimEnd()
      .split('\n')) {
      const { record, ...event } = JSON.parse(line) as Record<string, object>
      for (const key of [...Object.keys(event), ...Object.keys(record ?? {})]) keys.add(key)
    }
  // No message here has one.
  keys.add('request_key')
  const { rows } = await pool.query<{ name: string }>(
    `select attname as name from pg_attribute
      where attrelid in ('message_events'::regclass, 'records'::regclass) and attnum > 0 and not attisdropped`,
  )
  t.same([...keys].sort(), [...new Set(rows.map(({ name }) => name))].sort())
})

t.test('a run that is killed leaves the segment or a whole archive, and the next run goes on', async (t) => {
  const unnamed = ['piece_written', 'events_written', 'written']
  const places = [...unnamed, 'named', 'read_back', 'compared', 'before_commit', 'dropped']
  for (const place of places) {
    await t.test(place, async (t) => {
      const { url, pool, to } = await fill(t)
      const before = await pool.query(
        'select * from message_events where message_id <= 30 order by 1, version',
      )
      const killed = await archive(url, ['--before', '0s', '--to', to], `archive.${place}:1`)
      t.equal(killed.signal, 'SIGKILL', killed.errors)
      const isWhole = existsSync(join(to, first))
      t.equal(isWhole, !unnamed.includes(place))
      if (isWhole) execFileSync('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: join(to, first) })
      if (place === 'dropped') t.notOk((await parts(pool)).includes('message_events_s1'))
      else
        t.same(
          (await pool.query('select * from message_events where message_id <= 30 order by 1, version')).rows,
          before.rows,
        )
      const again = await archive(url, ['--before', '0s', '--to', to])
      t.equal(again.code, 0, again.errors)
      t.notOk((await parts(pool)).some((name) => /_s[12]$/.test(name)))
      t.same(readdirSync(to).sort(), [first, second])
      t.same(
        (await check(url)).invariants.filter(({ differences }) => differences > 0),
        [],
      )
    })
  }
})

t.test('an archive that is there already is used if it is whole, and refused if it is not', async (t) => {
  const { url, pool, to } = await fill(t)
  await archive(url, ['--before', '0s', '--to', to], 'archive.named:1')
  const path = join(to, first)
  const manifest = readFileSync(join(path, 'manifest.json'), 'utf8')
  const events = readFileSync(join(path, 'events.jsonl.gz'))
  const put = (name: string, content: string | Buffer) => writeFileSync(join(path, name), content)
  const damages: [() => void, RegExp][] = [
    [
      () => put('events.jsonl.gz', Buffer.from(events.map((byte, at) => (at === 100 ? byte ^ 1 : byte)))),
      /events\.jsonl\.gz is not what the manifest says/,
    ],
    [
      () => put('events.jsonl.gz', events.subarray(0, -20)),
      /events\.jsonl\.gz is not what the manifest says/,
    ],
    [() => renameSync(join(path, 'events.jsonl.gz'), join(to, 'taken')), /events\.jsonl\.gz is missing/],
    [
      () => put('manifest.json', manifest.replace('"rejected"', '"rejecteb"')),
      /SHA256SUMS and the manifest beside it do not say the same/,
    ],
    [() => put('manifest.json', '{'), /manifest\.json is not JSON/],
    [() => put('manifest.json', 'null'), /manifest\.json is no manifest/],
    [() => put('manifest.json', '{"format":1}'), /manifest\.json does not name the files of an archive/],
    [() => put('surplus', ''), /surplus is not in the manifest/],
  ]
  for (const [damage, sentence] of damages) {
    damage()
    const { code, output } = await archive(url, ['--before', '0s', '--to', to])
    t.equal(code, 1)
    t.match(output, /^segment 1: stays, because the archive that is there cannot be used\. \//)
    t.match(output, sentence)
    put('events.jsonl.gz', events)
    put('manifest.json', manifest)
    if (existsSync(join(path, 'surplus'))) renameSync(join(path, 'surplus'), join(to, 'was-surplus'))
  }
  t.ok((await parts(pool)).includes('message_events_s1'))
  t.match(await archive(url, ['--before', '0s', '--to', to]), { code: 0, output: /^segment 1: archived/ })
})

t.test('what cannot be read in the place of an archive is in the way of its own segment only', async (t) => {
  const { url, to } = await fill(t)
  const flags = ['--before', '0s', '--to', to]
  writeFileSync(join(to, first), 'no folder')
  t.match(await archive(url, flags), {
    code: 1,
    output:
      /^segment 1: stays, because the archive that is there cannot be used\. \S+ cannot be read: ENOTDIR.*\nsegment 2: archived in /,
  })
  rmSync(join(to, first))
  mkdirSync(join(to, first))
  symlinkSync('manifest.json', join(to, first, 'manifest.json'))
  t.match(await archive(url, flags), {
    code: 1,
    output: /^segment 1: stays, because the archive that is there cannot be used\. \S+ cannot be read: ELOOP/,
  })
})

t.test('an event that comes after the archive was read keeps the segment', async (t) => {
  const { url, pool, history, to } = await fill(t)
  await archive(url, ['--before', '0s', '--to', to], 'archive.named:1')
  await history.receive(['delivered'])
  const { code, output } = await archive(url, ['--before', '0s', '--to', to])
  t.match(
    { code, output },
    { code: 1, output: /does not come to what the database holds of segment 1: move it away/ },
  )
  t.ok((await parts(pool)).includes('message_events_s1'))
  t.match(output, /^segment 2: archived in /m, 'it is in the way of no other segment')
})

t.test(
  'a reader that holds the log for long is waited for and named, and the line goes on',
  besides,
  async (t) => {
    const { url, pool, history, to } = await fill(t)
    const reader = await pool.connect()
    await reader.query('begin')
    await reader.query('select count(*) from message_events')
    const running = archive(url, ['--before', '0s', '--to', to, '--wait', '3'])
    let written = 0
    const state = { over: false }
    void running.then(() => (state.over = true))
    while (!state.over) {
      await history.receive([`meanwhile ${written++}`])
      await makeSegments(pool, 30)
    }
    const { code, output } = await running
    t.equal(code, 1, output)
    t.match(
      output,
      /segment 1: its archive is whole .*, but it is still in the database, because the log's tables were in use all the time by process \d+/,
    )
    await reader.query('commit')
    reader.release()
    t.match(await archive(url, ['--before', '0s', '--to', to]), { code: 0, output: /^segment 1: archived/ })
    t.same(
      (await check(url)).invariants.filter(({ differences }) => differences > 0),
      [],
    )
  },
)

t.test(
  'while somebody holds the log for long, it does not queue for the lock that all others would wait behind',
  besides,
  async (t) => {
    const { url, pool, to } = await fill(t)
    const reader = await pool.connect()
    await reader.query('begin')
    await reader.query('select count(*) from message_events')
    await until('the reader to be an old one', async () => {
      const { rows } = await reader.query<{ old: boolean }>(
        `select clock_timestamp() - xact_start > interval '1 second' as old from pg_stat_activity where pid = pg_backend_pid()`,
      )
      return rows[0]!.old
    })
    const running = archive(url, ['--before', '0s', '--to', to, '--wait', '3'])
    let queued = 0
    const state = { over: false }
    void running.then(() => (state.over = true))
    while (!state.over) {
      const { rowCount } = await pool.query(
        `select from pg_locks where mode = 'AccessExclusiveLock' and not granted and database = (select oid from pg_database where datname = current_database())`,
      )
      queued += rowCount ?? 0
    }
    t.match(await running, {
      code: 1,
      output: /segment 1: its archive is whole .* were in use all the time by process \d+/,
    })
    t.equal(queued, 0)
    await reader.query('rollback')
    reader.release()
    t.match(await archive(url, ['--before', '0s', '--to', to]), { code: 0, output: /^segment 1: archived/ })
  },
)

t.test('an archive runs at the lowest priority, because payments come first', async (t) => {
  const { url, to } = await fill(t)
  const ended = await archive(url, ['--before', '0s', '--to', to], '', tellsPriority)
  t.match(ended, { code: 0, errors: /^priority 19$/m })
})

t.test('nothing is dropped that the snapshot of the checker has', besides, async (t) => {
  const own = await fill(t)
  const { url, pool, to } = own
  const role = await createRole(t, own)
  await pool.query(`grant pg_read_all_data to ${role.name}`)
  const events = 'select count(*)::int as n from message_events where message_id <= 30'
  const { rows: before } = await pool.query<{ n: number }>(events)
  await inSnapshot({ connectionString: role.url }, async (client) => {
    // Before the first of the three tables is read.
    const { code, output, errors } = await archive(url, ['--before', '0s', '--to', to, '--wait', '1'])
    t.equal(code, 1, errors)
    t.match(output, /segment 1: its archive is whole .*, but it is still in the database/)
    t.same((await client.query(events)).rows, before)
  })
  t.match(await archive(url, ['--before', '0s', '--to', to]), { code: 0, output: /^segment 1: archived/ })
})

t.test(
  'positions of archived messages are forgotten after each segment, also those of a killed run',
  besides,
  async (t) => {
    const { url, pool, to } = await fill(t)
    const flags = ['--before', '0s', '--to', to]
    t.equal((await archive(url, flags, 'archive.dropped:1')).signal, 'SIGKILL')
    t.notOk(await isForgotten(pool))
    t.equal((await archive(url, flags, 'archive.compared:1')).signal, 'SIGKILL')
    t.ok(await isForgotten(pool), 'the next run begins with them')

    const other = await fill(t)
    t.equal(
      (await archive(other.url, ['--before', '0s', '--to', other.to], 'archive.compared:2')).signal,
      'SIGKILL',
    )
    t.ok(await isForgotten(other.pool))
    t.notOk((await parts(other.pool)).includes('message_events_s1'))
  },
)

t.test(
  'who holds only partitions of another segment is not in the way, and who holds these is named',
  besides,
  async (t) => {
    const { url, pool, to } = await fill(t)
    const holder = await pool.connect()
    await holder.query(`set application_name = ''`)
    await holder.query('begin')
    // The lock that a vacuum takes.
    for (const segment of [2, 4])
      await holder.query(
        `lock table message_events_s${segment}, records_s${segment}, message_states_s${segment} in share update exclusive mode`,
      )
    const { code, output } = await archive(url, ['--before', '0s', '--to', to, '--wait', '3'])
    t.equal(code, 1)
    t.match(output, /^segment 1: archived in /)
    t.match(
      output,
      /segment 2: its archive is whole .* were in use all the time by process \d+ \(client backend\), open for \d+ s/,
    )
    await holder.query('rollback')
    holder.release(true)
    t.match(await archive(url, ['--before', '0s', '--to', to]), {
      code: 0,
      output: /^segment 2: archived in /,
    })
  },
)

t.test(
  'a transaction of another database of the server is not in the way, however long it writes',
  async (t) => {
    const foreign = await database(t, { empty: true })
    const writer = await foreign.pool.connect()
    await writer.query('begin')
    await writer.query('create table foreign_work ()')
    // The events come after that transaction began, so the watermark lies below all of them.
    const { url, pool, to } = await fill(t)
    t.match(await archive(url, ['--before', '0s', '--to', to, '--wait', '0']), {
      code: 0,
      output: /^segment 1: archived in .*\nsegment 2: archived in /,
    })
    await writer.query('commit')
    writer.release()
    t.notOk((await parts(pool)).some((name) => /_s[12]$/.test(name)))
  },
)

t.test('only the owner archives, and only one run at a time', async (t) => {
  const own = await fill(t)
  const role = await createRole(t, own)
  await migrate({ connectionString: own.url }, role.name)
  t.match(await archive(role.url, ['--before', '0s', '--to', own.to]), {
    code: 2,
    errors: /does not own the log: name the owner in MIGRATE_DATABASE_URL/,
  })
  const holder = await own.pool.connect()
  await holder.query(`select pg_advisory_lock(hashtextextended('archive', 0))`)
  t.match(await archive(own.url, ['--before', '0s', '--to', own.to]), {
    code: 2,
    errors: /Another run archives this log/,
  })
  holder.release(true)
})

t.test('what it cannot use is refused with a sentence', async (t) => {
  const { url } = await database(t)
  const cases: [string[], RegExp][] = [
    [[], /^--before is missing/],
    [['--before', '400d'], /^--to is missing/],
    [['--before', '400d', '--to', ''], /^--to is missing/],
    [['--before', 'soon', '--to', 'x'], /^--before must be an age like 400d/],
    [['--before', '2026-02-31', '--to', 'x'], /^--before must be an age like 400d/],
    [['--before', '2026-01-31T12:00:00', '--to', 'x'], /^--before must be an age like 400d/],
    [['--before', '2100-01-01', '--to', 'x'], /^--before lies in the future/],
  ]
  for (const [flags, sentence] of cases) t.match(await archive(url, flags), { code: 2, errors: sentence })
  const to = t.testdir({ file: '' })
  appendFileSync(join(to, 'file'), 'x')
  mkdirSync(join(to, 'folder'))
  t.match(await archive(url, ['--before', '1d', '--to', join(to, 'file')]), {
    code: 2,
    errors: /^Could not archive: /,
  })
})
