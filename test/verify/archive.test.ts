import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, cpSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { Pool } from 'pg'
import t from 'tap'
import type { LogCursor } from '../../src/log/read/log-cursor.ts'
import type { LogEvent } from '../../src/log/read/log-event.ts'
import { countMessages } from '../../src/log/read/messages/count-messages.ts'
import { readEvents } from '../../src/log/read/read-events.ts'
import { readHead } from '../../src/log/read/read-head.ts'
import { readLogEnd } from '../../src/log/read/read-log-end.ts'
import { findArchived } from '../../src/log/read/find-archived.ts'
import { placeStrays } from '../../src/log/write/place-strays.ts'
import { replay } from '../../src/log/write/replay.ts'
import { isClean, printJson, printText } from '../../src/verify/print.ts'
import { verify, type Report } from '../../src/verify/verify.ts'
import { startService } from '../api/service.ts'
import { dataOf } from '../api/graphql/graphql.ts'
import { headPasses } from '../support/head-passes.ts'
import { program } from '../support/program.ts'
import { rebuildAll } from '../support/rebuild.ts'
import { archive, fill, first, second } from './archived.ts'
import { accepted } from './history.ts'

const { url, pool, history, to } = await fill(t)
const before = await check()
const countsBefore = await counts(pool)
const archiving = await archive(url, ['--before', '0s', '--to', to])

async function check(archives: string[] = [], files: { ledgerPath: string; acksPath: string } | null = null) {
  return verify({ databaseUrl: url, ledgerPath: null, acksPath: null, ...files, archives })
}

function differences({ invariants }: Report): string[] {
  return invariants.flatMap(({ id, named }) => named.map(({ name, what }) => `${id} ${name}: ${what}`))
}

async function counts(pool: Pool): Promise<unknown> {
  return (await pool.query('select * from status_counts()')).rows
}

t.test('the log and its archives together are checked as the whole log was', async (t) => {
  t.same(differences(before), [])
  t.equal(archiving.code, 0, archiving.errors + archiving.output)
  const after = await check([to])
  t.same(differences(after), [])
  t.equal(after.messages, before.messages)
  t.equal(after.events, before.events)
  for (const id of ['S1', 'S2', 'S3', 'S12'])
    t.equal(
      after.invariants.find((each) => each.id === id)?.checked,
      before.invariants.find((each) => each.id === id)?.checked,
      id,
    )
  t.match(
    printText(after),
    /^segment 1 \(messages 1 to 30: .* was archived as segment-000001-messages-1-30 by .*: checked with its archive$/m,
  )
})

t.test('with the ledger and the acknowledgements too', async (t) => {
  const folder = t.testdir({ ledger: `${history.ledger.join('\n')}\n`, acks: `${history.acks.join('\n')}\n` })
  const files = { ledgerPath: join(folder, 'ledger'), acksPath: join(folder, 'acks') }
  t.same(differences(await check([join(to, first), join(to, second)], files)), [])
  await t.rejects(check([], files), /without the archive segment-000001.*: name its folder with --archive/)
  await t.rejects(
    check([join(to, first)], files),
    /without the archive segment-000002.*: give it whole with --archive/,
  )
})

t.test('without archives it is clean, and says what is not checked', async (t) => {
  const report = await check()
  t.same(differences(report), [])
  t.match(printText(report), /^segment 2 .*: not checked without its archive/m)
  t.match(
    report.invariants.find(({ id }) => id === 'S12')?.limit,
    /^without --archive, \d+ offsets are only counted/,
  )
  t.match(JSON.parse(printJson(report)), {
    clean: true,
    archived: [{ segment: 1, name: first, checked: false }, {}],
  })
  t.same(differences(await check([join(to, second)])), [], 'one of two')
})

t.test(
  'archives of another database are refused, and one that does not say whose it is is read',
  async (t) => {
    const copy = t.testdir()
    cpSync(to, copy, { recursive: true })
    const path = join(copy, first, 'manifest.json')
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as { log?: { began_at: string } }
    manifest.log!.began_at = '2020-01-01T00:00:00.000000Z'
    writeFileSync(path, JSON.stringify(manifest))
    for (const folder of [copy, join(copy, first)])
      await t.rejects(check([folder]), {
        message:
          /segment-000001-messages-1-30 is of another database, whose log began at 2020-01-01T00:00:00\.000000Z; this one's began at 2/,
      })

    // As an older release wrote it, which the log then remembers so.
    delete manifest.log
    const text = JSON.stringify(manifest)
    writeFileSync(path, text)
    const sha256 = createHash('sha256').update(text).digest('hex')
    const sums = join(copy, first, 'SHA256SUMS')
    writeFileSync(sums, readFileSync(sums, 'utf8').replace(/^\S+(?= {2}manifest\.json$)/m, sha256))
    const { rows } = await pool.query<{ was: Buffer }>(
      'select manifest_sha256 as was from segment_archives where segment = 1',
    )
    const remember = async (hash: Buffer) => {
      await pool.query('alter table segment_archives disable trigger append_only')
      await pool.query('update segment_archives set manifest_sha256 = $1 where segment = 1', [hash])
      await pool.query('alter table segment_archives enable always trigger append_only')
    }
    await remember(Buffer.from(sha256, 'hex'))
    t.same(differences(await check([copy])), [])
    await remember(rows[0]!.was)
  },
)

t.test('what was tampered with is found', async (t) => {
  const cases: [(path: string) => void, RegExp][] = [
    [(path) => flip(join(path, 'events.jsonl.gz')), /events\.jsonl\.gz does not have the SHA-256/],
    [(path) => dropLine(join(path, 'events.jsonl.gz')), /events\.jsonl\.gz does not have the SHA-256/],
    [(path) => rmSync(join(path, 'events.jsonl.gz')), /events\.jsonl\.gz is missing/],
    [(path) => rmSync(join(path, 'manifest.json')), /manifest\.json is missing/],
    [
      (path) => appendFileSync(join(path, 'manifest.json'), ' '),
      /manifest\.json is not the one that the log remembers/,
    ],
    [(path) => flip(join(path, 'sums.json')), /sums\.json does not have the SHA-256/],
    [(path) => rmSync(join(path, 'SHA256SUMS')), /SHA256SUMS is missing/],
    [(path) => flip(join(path, 'SHA256SUMS')), /SHA256SUMS does not say the same as the manifest/],
  ]
  for (const [tamper, sentence] of cases) {
    const copy = t.testdir()
    cpSync(to, copy, { recursive: true })
    tamper(join(copy, first))
    const report = await check([copy])
    t.notOk(isClean(report))
    t.match(differences(report), [sentence])
  }
})

t.test('copies of an archive, links to it, and one under another name are all looked at', async (t) => {
  const folder = t.testdir({ copy: {}, linked: {}, renamed: {} })
  const [copy, linked, renamed] = ['copy', 'linked', 'renamed'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  cpSync(join(to, first), join(copy, first), { recursive: true })
  flip(join(copy, first, 'events.jsonl.gz'))
  for (const archives of [
    [copy, to],
    [to, copy],
  ]) {
    const report = await check(archives)
    t.match(
      differences(report),
      [/^S13 archive \S+copy\S+: events\.jsonl\.gz does not have/],
      'a copy that is damaged',
    )
    t.equal(report.events, before.events, 'the whole one is read')
  }

  symlinkSync(join(to, first), join(linked, first))
  symlinkSync(join(to, 'nowhere'), join(linked, 'dangling'))
  cpSync(join(to, first), join(renamed, 'old one'), { recursive: true })
  for (const archives of [[linked], [renamed], [join(renamed, 'old one')]])
    t.match((await check(archives)).archived, [
      { name: first, folder: new RegExp(`^${archives[0]}`) },
      { folder: null },
    ])

  const other = join(renamed, 'other')
  cpSync(join(to, first), other, { recursive: true })
  appendFileSync(join(other, 'manifest.json'), ' ')
  t.same((await check([other])).unknownArchives, ['other'])
  renameSync(other, join(renamed, '.unfinished'))
  t.same((await check([renamed])).unknownArchives, [])
})

t.test('a file that cannot be read is not called missing, and is not blamed on the database', async (t) => {
  const copy = t.testdir()
  cpSync(to, copy, { recursive: true })
  // As without permission, but also for a user who may read everything: a link that leads to itself.
  const path = join(copy, first, 'manifest.json')
  rmSync(path)
  symlinkSync('manifest.json', path)
  const ended = await new Promise<{ code: number | null; errors: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [...program('commands/verify'), '--archive', copy],
      { env: { PATH: process.env.PATH, DATABASE_URL: url, NODE_ENV: 'test' }, timeout: 240_000 },
      (_error, _output, errors) => resolve({ code: child.exitCode, errors }),
    )
  })
  t.match(ended, { code: 2, errors: /^A file cannot be read: ELOOP.*manifest\.json/ })
})

t.test('what was tampered with in the database is found, with and without archives', async (t) => {
  for (const archives of [[], [to]]) {
    for (const [table, change] of [
      ['archived_rollups', `set n = n + 1 where measure = 'attempts'`],
      ['archived_failures', 'set n = n + 1'],
      ['segment_archives', 'set success = success + 1, messages = messages + 1'],
      ['segment_archives', 'set received = received + 1'],
      ['inbox', `set transaction_id = 'other' where message_id = 1`],
    ] as const) {
      const isSeen = archives.length > 0 ? !change.includes('received') : table !== 'inbox'
      const copy = `create table kept as table ${table}`
      await pool.query(`${copy}; alter table ${table} disable trigger append_only; update ${table} ${change};
        alter table ${table} enable always trigger append_only`)
      t.equal(isClean(await check(archives)), !isSeen, `${table} ${change} ${archives.length}`)
      await pool.query(`alter table ${table} disable trigger append_only; set session_replication_role = replica; delete from ${table}; insert into ${table} table kept; drop table kept;
        alter table ${table} enable always trigger append_only; set session_replication_role = origin`)
    }
  }
  t.same(differences(await check([to])), [])
})

t.test('counts stay as they were, and rebuild finds nothing to repair', async (t) => {
  t.same(await counts(pool), countsBefore)
  t.same(await rebuildAll(pool), [])
  t.same(await counts(pool), countsBefore)
})

t.test('a record of an archived message is still a duplicate or a conflict, and is not sent', async (t) => {
  const { rows: positions } = await pool.query<{ n: string }>('select count(*) as n from archived_duplicates')
  const claims = await history.receive(
    [
      'delivered',
      { transactionId: 'delivered', payload: Buffer.from('{"transaction_id":"delivered","other":1}') },
      'new one',
      'delivered',
    ],
    { room: 4 },
  )
  t.same(
    claims.map(({ transactionId }) => transactionId),
    ['new one'],
  )
  await history.deliver(claims[0]!, accepted)
  const { rows } = await pool.query<{ n: string }>('select count(*) as n from archived_duplicates')
  t.equal(Number(rows[0]!.n) - Number(positions[0]!.n), 2)
  const { rows: last } = await pool.query(
    'select duplicates, conflicts, received from partition_advances order by recorded_at desc limit 1',
  )
  t.match(last, [{ duplicates: 2, conflicts: 1, received: 1 }])
  for (const archives of [[], [to]]) t.same(differences(await check(archives)), [])
  t.same(await rebuildAll(pool), [])
})

t.test('an archived message is not replayed', async (t) => {
  const request = { actor: 'alice', reason: 'why', requestKey: null }
  t.same(await replay(pool, { transactionId: 'refused', ...request }), { kind: 'archived', archive: first })
  t.same(await replay(pool, { transactionId: 'nobody', ...request }), { kind: 'unknown' })
})

t.test('an archived message is not expunged, and the answer names its archive', async (t) => {
  const { call } = await startService(t, pool)
  const body = JSON.stringify({ operator: 'alice', reason: 'asked' })
  const text = `Transaction refused is archived in ${first}: remove it there.`
  t.match(await call('POST', '/expunge/refused', { body }), { status: 409, json: { detail: text } })
  t.match(await call('POST', '/expunge/nobody', { body }), { status: 404 })
  const service = await startService(t, pool)
  const query = `mutation { expunge(transactionId: "refused", reason: "asked") {
    __typename ... on ExpungeRefusal { text } ... on MessageArchived { archived { archive } } } }`
  t.strictSame(await dataOf(service, query), {
    expunge: {
      __typename: 'MessageArchived',
      text: `Transaction refused is archived in ${first}, and its bytes too: it takes no more events.`,
      archived: { archive: first },
    },
  })
})

t.test('the total of a list has no archived messages', async (t) => {
  for (const status of ['success', 'dead_letter'] as const) {
    const { rows } = await pool.query<{ n: string }>(
      'select count(*) as n from message_states where status = $1',
      [status],
    )
    t.strictSame(await countMessages(pool, { statuses: [status] }, 'CREATED_DESC', 1_000), {
      value: rows[0]!.n,
      exact: true,
    })
  }
})

t.test('a stray outcome of an archived message stays as evidence', async (t) => {
  const { rows } = await pool.query<{ placed: boolean }>(
    `select keep_stray('steady/fresh', 'refused', payload_sha256, 9, now(), 'accepted', 200, 1, null) as placed
      from inbox where transaction_id = 'refused'`,
  )
  t.equal(rows[0]?.placed, false)
  t.equal(await placeStrays(pool), 1)
  t.same(differences(await check([to])), [])
})

t.test('a message that is archived is found by its archive', async (t) => {
  t.match(await findArchived(pool, 'refused'), { archive: first, messageId: /^\d+$/, archivedAt: /^2.*Z$/ })
  t.equal(await findArchived(pool, 'waits'), null)
  t.equal(await findArchived(pool, 'nobody'), null)
})

t.test('a cursor from before what was archived has expired, and one from after it has not', async (t) => {
  const bounds = { rowsMax: 5, examinedMax: 5 }
  const { rows } = await pool.query<{ position: string }>(
    'select max(highest_position) as position from segment_archives',
  )
  const last = rows[0]!.position
  await headPasses(pool)
  const at = (position: bigint) => ({
    epoch: 1,
    position: String(position),
    messageId: '0',
    version: 0,
    archives: 0,
  })
  t.match(await readEvents(pool, { ...bounds, after: at(BigInt(last) - 1n) }), {
    kind: 'refused',
    reason: 'expired',
  })
  t.match(
    await readEvents(pool, { ...bounds, after: at(BigInt(last)) }),
    { kind: 'refused', reason: 'expired' },
    'archived events have that position',
  )
  t.match(await readEvents(pool, { ...bounds, after: at(BigInt(last) + 1n) }), { kind: 'read' })
  t.match(await readEvents(pool, bounds), { kind: 'read', events: Array }, 'without a cursor')
})

t.test(
  'who begins after an archive pages through all that is there, and expires with the next one',
  async (t) => {
    await headPasses(pool)
    const walk = async (client: Pick<Pool, 'query'>) => {
      const seen: LogEvent[] = []
      let after: LogCursor | null = null
      for (let caughtUp = false; !caughtUp;) {
        const page = await readEvents(client, { after, rowsMax: 1, examinedMax: 5 })
        if (page.kind === 'refused') throw new Error(`${page.reason} after ${seen.length} events`)
        seen.push(...page.events)
        after = page.stoppedAt
        caughtUp = page.caughtUp
      }
      return { seen, end: after! }
    }
    const { seen, end } = await walk(pool)
    const { rows } = await pool.query<{ name: string }>(
      `select message_id || '/' || version as name from message_events`,
    )
    const names = seen.map(({ messageId, version }) => `${messageId}/${version}`)
    t.same(names.toSorted(), rows.map(({ name }) => name).toSorted())
    t.equal(end.archives, 2)
    t.same((await readHead(pool)).cursor, end)
    t.same(await readLogEnd(pool), end)

    // An archive whose messages had their last events when all the others had theirs.
    const client = await pool.connect()
    try {
      await client.query('begin')
      await client.query(
        `insert into segment_archives (segment, first_message_id, next_message_id, name, manifest_sha256, messages, events,
        success, dead_letter, received, duplicates, conflicts, rejected, highest_position, actor, reason)
      values (99, 99000001, 99000002, 'segment', '', 0, 0, 0, 0, 0, 0, 0, 0, $1, 'alice', 'old')`,
        [seen.at(-1)!.cursor.position],
      )
      const read = (after: LogCursor) => readEvents(client, { after, rowsMax: 5, examinedMax: 5 })
      t.match(await read(seen[0]!.cursor), { kind: 'refused', reason: 'expired' })
      t.match(await read(end), { kind: 'read', stoppedAt: { archives: 3 } }, 'it has read what is archived')
      const again = await walk(client)
      t.equal(again.seen.length, seen.length)
      t.match(again.seen[0], { cursor: { ...seen[0]!.cursor, archives: 3 } })
    } finally {
      await client.query('rollback')
      client.release()
    }
  },
)

t.test('who reads the log from its beginning walks over no archived positions', async (t) => {
  const { rows } = await pool.query<{ n: string }>(
    `select count(*) as n from event_positions p
      where not exists (select from message_events e where e.message_id = any (p.message_ids))`,
  )
  t.equal(rows[0]?.n, '0')
})

function flip(path: string): void {
  const bytes = readFileSync(path)
  bytes[100] = (bytes[100] ?? 0) ^ 1
  writeFileSync(path, bytes)
}

function dropLine(path: string): void {
  const lines = gunzipSync(readFileSync(path)).toString().split('\n')
  lines.splice(3, 1)
  writeFileSync(path, gzipSync(lines.join('\n')))
}
