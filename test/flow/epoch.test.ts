import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t from 'tap'
import type { LogCursor } from '../../src/log/read/log-cursor.ts'
import type { LogEvent } from '../../src/log/read/log-event.ts'
import { readEvents } from '../../src/log/read/read-events.ts'
import { beginEpoch } from '../../src/log/write/begin-epoch.ts'
import { migrate } from '../../src/runtime/migrate.ts'
import { isClean, printText } from '../../src/verify/print.ts'
import { verify } from '../../src/verify/verify.ts'
import { newName, record, session, store, waitsFor } from '../log/support.ts'
import { database } from '../support/database.ts'
import { setUpLine } from '../support/line.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { restore } from '../support/restore.ts'
import { createRole } from '../support/roles.ts'
import { startReadyService, startService } from '../support/service.ts'
import { until } from '../support/until.ts'

const epochScript = fileURLToPath(new URL('../../src/commands/epoch.ts', import.meta.url))

async function runEpoch(settings: Record<string, string>, ...flags: string[]) {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), epochScript, ...flags], {
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

/** A fresh cluster has used some hundreds of transaction ids; the one that the log is dumped from far more. */
async function grow(pool: pg.Pool): Promise<void> {
  await pool.query(`do $$ begin
    while pg_current_xact_id()::text::bigint < 20000 loop commit; end loop;
  end $$`)
}

async function readAll(pool: pg.Pool, after: LogCursor | null): Promise<LogEvent[]> {
  const answer = await readEvents(pool, { after, rowsMax: 10_000, examinedMax: 10_000 })
  if (answer.kind === 'refused') throw new Error(`refused: ${answer.reason}`)
  return answer.events
}

const nameOf = ({ messageId, version }: LogEvent) => `${messageId} ${version}`

t.test(
  'a log restored into a younger cluster is refused until an epoch begins; then all goes on, and so do readers',
  async (t) => {
    const old = await database(t)
    await grow(old.pool)
    const line = await setUpLine(t, ['--success', '1'], { database: old })
    const before = await startReadyService(t, line.settings)
    await line.produce(20)
    await line.settled(20)
    before.kill('SIGTERM')
    await before.ended
    let known: LogEvent[] = []
    await until('the log to be readable', async () => (known = await readAll(old.pool, null)).length === 60)
    const place = known[30]!.cursor

    const young = await startOwnPostgres(t)
    await migrate({ connectionString: young.url })
    await restore(old.pool, young.pool)
    const settings = { ...line.settings, DATABASE_URL: young.url }
    const refused = await startService(t, settings)
    t.equal(await refused.ended, 1)
    t.match(
      refused.errors().trimEnd().split('\n').at(-1),
      /^The log reaches \d+ positions beyond .*: run `npm run epoch -- --reason R` once, and start again\.$/,
    )
    t.match(await runEpoch(settings), { code: 2, output: /^--reason must be one line/ })
    const begun = await runEpoch(settings, '--reason', 'restored from a dump', '--operator', 'alice')
    t.same(begun, {
      code: 0,
      output: 'Epoch 2 has begun. Recorded as decided by alice: restored from a dump\n',
    })
    t.match(await runEpoch(settings, '--reason', 'again'), { code: 1, output: /none has begun/ })
    t.match((await young.pool.query('select actor, reason from log_epochs where epoch = 2')).rows, [
      { actor: 'alice', reason: 'restored from a dump' },
    ])

    await startReadyService(t, settings)
    await line.produce(20)
    await until('all to be delivered', async () => {
      const { rows } = await young.pool.query<{ success: string }>('select * from status_counts()')
      return rows[0]!.success === '40'
    })
    const rest = await readAll(young.pool, place)
    t.strictSame(
      rest.slice(0, 29).map(nameOf),
      known.slice(31).map(nameOf),
      'the reader goes on where it was',
    )
    t.equal(rest.length, 29 + 60, 'and gets all that is new')
    t.strictSame(
      (await readAll(young.pool, known.at(-1)!.cursor)).map(nameOf),
      rest.slice(29).map(nameOf),
      'as does one that had read all',
    )
    const report = await verify({
      databaseUrl: young.url,
      ledgerPath: line.mock.ledgerPath,
      acksPath: line.acksPath,
    })
    t.ok(isClean(report), isClean(report) ? 'verify finds nothing' : printText(report))
  },
)

t.test(
  'in a younger cluster nothing is appended, folded or lost before the epoch, and all is after it',
  async (t) => {
    const old = await database(t)
    await grow(old.pool)
    await store(old.pool, [record(0, newName()), record(1, newName())], { partition: 1 })
    await old.pool.query('select fold_piece()')
    await store(old.pool, [record(2, newName())], { partition: 1 })
    const young = await startOwnPostgres(t)
    await migrate({ connectionString: young.url })
    await restore(old.pool, young.pool)

    const append = (offset: number) => store(young.pool, [record(offset, newName())], { partition: 1 })
    await t.rejects(append(3), { code: '55000', hint: 'npm run epoch -- --reason R' })
    await young.pool.query('select fold_piece()')
    t.match((await young.pool.query('select pending from status_counts()')).rows, [{ pending: '3' }])

    const role = await createRole(t, young)
    await migrate({ connectionString: young.url }, role.name)
    t.match(await runEpoch({ DATABASE_URL: role.url }, '--reason', 'not mine to say'), {
      code: 2,
      output: /permission denied/,
    })
    t.match(
      await runEpoch({ DATABASE_URL: role.url, MIGRATE_DATABASE_URL: young.url }, '--reason', 'the owner’s'),
      {
        code: 0,
      },
    )
    await append(3)
    await young.pool.query('select fold_piece()')
    t.match((await young.pool.query('select pending from status_counts()')).rows, [{ pending: '4' }])
  },
)

t.test(
  'an epoch begins after whoever has read the base of the one before, and before whoever reads it next',
  async (t) => {
    const { pool, url } = await database(t)
    await store(pool, [record(0, newName())])
    // A log that is ahead of its cluster.
    await pool.query('update status_count_folds set bound = bound + 1000000000')
    const writer = await session(t, url)
    const operator = await session(t, url)
    await writer.database.query('begin')
    const { rows } = await writer.database.query<{ watermark: string }>('select watermark()')
    const beginning = beginEpoch(operator.database, 'alice', 'restored')
    await waitsFor(pool, operator, writer, beginning)
    await writer.database.query('commit')
    t.equal(await beginning, 2)
    const after = await writer.database.query<{ watermark: string }>('select watermark()')
    // Another test may hold the cluster's oldest transaction where it was.
    t.ok(BigInt(after.rows[0]!.watermark) >= BigInt(rows[0]!.watermark) + 1_000_000_000n)
    t.equal(await beginEpoch(operator.database, 'alice', 'again'), null)
    await store(pool, [record(0, newName())])
  },
)
