import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import pg from 'pg'
import t from 'tap'
import { produce } from '../../src/kafka/test-topic/produce.ts'
import { idempotencyKey } from '../../src/message/idempotency-key.ts'
import { database } from '../support/database.ts'
import { runVerify, setUpLine } from '../support/line.ts'
import { rebuildAll } from '../support/rebuild.ts'
import { createRole } from '../support/roles.ts'
import { makeSmallSegments } from '../support/segments.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'
import { archive } from '../verify/archived.ts'

// The smallest that the service makes.
const segmentMessages = 1_000
const tables = ['message_events', 'records', 'message_states']

const own = await database(t)
const { pool, url } = own
await makeSmallSegments(pool, segmentMessages)
const role = await createRole(t, own)
const to = t.testdir()
const line = await setUpLine(t, [], { database: { ...own, url: role.url } })
const service = await startReadyService(t, {
  ...line.settings,
  MIGRATE_DATABASE_URL: url,
  SEGMENT_MESSAGES: String(segmentMessages),
})
const total = async () => {
  const { pending, processing, success, failed, dead_letter } = await line.counts()
  return pending + processing + success + failed + dead_letter
}

/** The same ones each time. */
async function sendKnown(count: number): Promise<void> {
  const options = { brokers: line.brokers, topic: line.topic, rate: null, acksPath: line.acksPath }
  const { acknowledged } = await produce({ ...options, count, prefix: 'known' })
  if (acknowledged !== count) throw new Error(`only ${acknowledged} of ${count} acknowledged`)
}

async function partitions(): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits where inhparent = any ($1::regclass[]) order by 1`,
    [tables],
  )
  return rows.map(({ name }) => name)
}

/** Of each segment that the log ever had: whether it is in the database, and whether its archive is whole by sha256sum's word. */
async function standings(): Promise<{ segment: number; isThere: boolean; isArchived: boolean }[]> {
  const { rows } = await pool.query<{ segment: number }>('select segment from log_segments order by 1')
  const there = await partitions()
  return rows.map(({ segment }) => {
    const name = readdirSync(to).find((each) =>
      each.startsWith(`segment-${String(segment).padStart(6, '0')}-`),
    )
    if (name !== undefined)
      execFileSync('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: join(to, name) })
    return {
      segment,
      isThere: tables.every((table) => there.includes(`${table}_s${segment}`)),
      isArchived: name !== undefined,
    }
  })
}

t.test(
  'a run that is killed at any step, while messages flow, leaves each segment or its whole archive',
  async (t) => {
    await sendKnown(100)
    let sent = 100
    const places = [
      'piece_written',
      'events_written',
      'written',
      'named',
      'read_back',
      'compared',
      'before_commit',
      'dropped',
    ]
    for (const place of places) {
      // A whole segment at least is full and done.
      await line.produce(segmentMessages + 200)
      sent += segmentMessages + 200
      await line.settled(sent)
      const flowing = line.produce(300, 100)
      sent += 300
      const killed = await archive(url, ['--before', '0s', '--to', to], `archive.${place}:1`)
      t.equal(killed.signal, 'SIGKILL', `${place}: ${killed.output}${killed.errors}`)
      const left = await standings()
      t.same(
        left.filter(({ isThere, isArchived }) => !isThere && !isArchived),
        [],
        `${place}: none is lost`,
      )
      const { rows } = await pool.query<{ segment: number }>(
        'select segment from segment_archives order by 1',
      )
      t.same(
        left.filter(({ isThere }) => !isThere).map(({ segment }) => segment),
        rows.map(({ segment }) => segment),
        `${place}: what is gone is in the log's own list`,
      )
      const again = await archive(url, ['--before', '0s', '--to', to])
      t.equal(again.code, 0, `${place}: ${again.output}${again.errors}`)
      await flowing
      await line.settled(sent)
      const after = await standings()
      t.same(
        after.filter(({ isThere, isArchived }) => isThere === isArchived),
        [],
        `${place}: each is in one place`,
      )
      t.ok(after.filter(({ isArchived }) => isArchived).length >= 1)
      t.notOk(
        readdirSync(to).some((name) => name.startsWith('.')),
        'nothing half-written is left',
      )
    }
    t.ok((await standings()).filter(({ isArchived }) => isArchived).length >= places.length)
  },
)

t.test(
  'then the checker is clean with and without the archives, and rebuild has nothing to repair',
  async (t) => {
    const { code, output } = await line.verify(['--archive', to])
    t.equal(code, 0, output)
    t.equal((await runVerify(url, [])).code, 0)
    const without = await line.verify()
    t.equal(without.code, 2)
    t.match(without.output, /without the archive segment-000001-\S+: name its folder with --archive/)
    t.same(await rebuildAll(pool), [])
    const { rows: messages } = await pool.query<{ n: number; least: string }>(
      'select count(*)::int as n, min(message_id) as least from messages where payload is not null',
    )
    t.ok(messages[0]!.n > 0 && Number(messages[0]!.least) > segmentMessages, 'the view has what is left')
  },
)

t.test('a record of an archived message comes again: it is a duplicate, and is not sent', async (t) => {
  const [counted, requests] = [await total(), (await line.ledger()).length]
  const payloads = (await line.ledger()).filter(({ transaction_id: id }) => id?.startsWith('known-'))
  t.ok(payloads.length >= 100)
  await sendKnown(100)
  const duplicates = async () => {
    const { rows } = await pool.query<{ n: string }>('select count(*) as n from archived_duplicates')
    return Number(rows[0]!.n)
  }
  await until('all of them to be accounted for', async () => (await duplicates()) === 100)
  await line.produce(1)
  await line.settled(counted + 1)
  const later = (await line.ledger()).slice(requests)
  const known = new Set(Array.from({ length: 100 }, (_, at) => idempotencyKey(`known-${at + 1}`)))
  t.same(
    later.filter(({ key }) => known.has(key ?? '')),
    [],
  )
  const { code, output } = await line.verify(['--archive', to])
  t.equal(code, 0, output)
})

t.test('a foreign reader finds in an archive what became of a payment', (t) => {
  const [name = ''] = readdirSync(to).sort()
  const folder = join(to, name)
  t.ok(existsSync(join(folder, 'SHA256SUMS')))
  const events = gunzipSync(readFileSync(join(folder, 'events.jsonl.gz')))
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Record<string, unknown>)
  const { message_id } = events.find(({ transaction_id }) => transaction_id === 'known-7')!
  const types = events.filter((event) => event.message_id === message_id).map(({ type }) => type)
  t.equal(types[0], 'received')
  t.ok(types.at(-1) === 'succeeded' || types.at(-1) === 'dead_lettered', types.join(' '))
  t.end()
})

t.test("the service's role changes no history, also not in segments that were made since", async (t) => {
  const asService = new pg.Pool({ connectionString: role.url, max: 1 })
  t.teardown(() => asService.end())
  const denied = { code: '42501' }
  const made = (await partitions()).filter((name) => !/_s[12]$/.test(name))
  t.ok(made.length >= 3, made.join(' '))
  for (const name of [...tables, ...made]) {
    await t.rejects(asService.query(`insert into ${name} default values`), denied, name)
    await t.rejects(asService.query(`update ${name} set message_id = message_id`), denied, name)
    await t.rejects(asService.query(`delete from ${name}`), denied, name)
    await t.rejects(asService.query(`truncate ${name}`), denied, name)
    await t.rejects(asService.query(`drop table ${name}`), denied, name)
    await t.rejects(asService.query(`alter table ${name} disable trigger all`), denied, name)
  }
  for (const table of tables) {
    const part = made.find((name) => name.startsWith(`${table}_s`))!
    await t.rejects(asService.query(`alter table ${table} detach partition ${part}`), denied, part)
  }
  for (const name of ['segment_archives', 'archived_rollups', 'archived_failures', 'archived_duplicates'])
    await t.rejects(asService.query(`delete from ${name}`), denied, name)
  await t.rejects(asService.query(`select drop_segment('{}', '[]', '[]', '1:1:', 0, 1)`), denied)
  // Nor does the owner, as long as the guards are on.
  for (const name of made.filter((each) => !each.startsWith('message_states')))
    for (const change of [
      `update ${name} set message_id = message_id`,
      `delete from ${name}`,
      `truncate ${name}`,
    ])
      await t.rejects(pool.query(change), denied, change)
  t.equal(service.log.filter(({ level }) => Number(level) >= 50).length, 0)
})
