import pg from 'pg'
import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import type { Claim } from '../src/log/write/to-claim.ts'
import { foldCounts } from '../src/log/write/fold-counts.ts'
import { ingest } from '../src/log/write/ingest.ts'
import { look } from '../src/log/write/look.ts'
import { settle, type Settlement } from '../src/log/write/settle.ts'
import { migrate } from '../src/runtime/migrate.ts'
import { makeRecord } from './make-record.ts'
import { startDatabase } from './parts.ts'

const usage = `Usage: npm run bench:bloat -- [--days N] [--messages N] [--retries P]

Whether the tables swell as they are written, day after day. The service's own functions store messages in slices of 250, start and settle
their attempts, have some retried, and fold the counts. PostgreSQL's autovacuum, with the settings of our schema, looks every second in
place of every minute, because a day is only as long as its messages take. After each day it prints the tables and indexes in bytes.

  --days N      simulated days (default 7)
  --messages N  messages of a day (default 50000)
  --retries P   how many of a hundred messages fail once and are retried (default 20)
  --help        this text

Ends with 0 if all was measured, 2 if it could not run.
`

const topic = 'transactions.incoming'
const sliceMessages = 250
const foldEvery = 10
const settledMax = 125
const lease = { leaseMs: 60_000, reconnectedAt: '-infinity', graceMs: 0 }

interface Flags {
  days: string
  messages: string
  retries: string
}

type Size = { table: string; live: string; dead: string; heap: string; indexes: string; vacuums: string }

async function run(values: Flags): Promise<number> {
  const days = readCount('days', values.days)
  const slices = Math.ceil(readCount('messages', values.messages) / sliceMessages)
  const retries = readCount('retries', values.retries, 0)
  const postgres = await startDatabase()
  const database = new pg.Pool({ connectionString: postgres.url, max: 2 })
  // A session that the server's end cuts off emits an error.
  database.on('error', () => undefined)
  try {
    await migrate({ connectionString: postgres.url })
    await database.query('select make_segments(5000000)')
    await database.query(`alter system set autovacuum_naptime = '1s'`)
    await database.query('select pg_reload_conf()')
    for (let day = 1; day <= days; day++) {
      for (let slice = 0; slice < slices; slice++) {
        await live(database, ((day - 1) * slices + slice) * sliceMessages, retries)
        if (slice % foldEvery === 0) await foldCounts(database)
      }
      await foldCounts(database)
      tell(day, day * slices * sliceMessages, await readSizes(database))
    }
    return exitCodes.done
  } finally {
    await database.end()
    await postgres.stop()
  }
}

/** A slice of messages, from its records to the success of each. */
async function live(database: pg.Pool, from: number, retries: number): Promise<void> {
  const records = Array.from({ length: sliceMessages }, (_, at) => makeRecord(topic, from + at))
  const slice = {
    topic,
    partition: 0,
    incarnation: 1,
    first: BigInt(from),
    next: BigInt(from + records.length),
    records,
    holes: [],
  }
  const answer = await ingest(database, slice, {
    actor: 'bench/ingest',
    lane: 'bench/fresh',
    room: records.length,
    leaseMs: lease.leaseMs,
  })
  if (answer.kind !== 'stored' || answer.claims.length !== records.length)
    throw new Error('the slice was not stored')
  await end(database, 'bench/fresh', answer.claims, (at) => at % 100 < retries)
  for (;;) {
    const { claims } = await look(database, {
      lane: 'retry',
      actor: 'bench/retry',
      room: { all: sliceMessages, slow: sliceMessages },
      lease,
      lookFrom: {},
      withLeases: true,
    })
    if (claims.length === 0) break
    await end(database, 'bench/retry', claims, () => false)
  }
}

async function end(
  database: pg.Pool,
  actor: string,
  claims: readonly Claim[],
  fails: (at: number) => boolean,
): Promise<void> {
  const settlements = claims.map((claim, at): Settlement =>
    fails(at)
      ? {
          ...claim,
          outcome: { kind: 'unavailable', statusCode: 503, reason: 'HTTP 503', retryAfterMs: null },
          durationMs: 5,
          decision: { then: 'retry', delayMs: 0 },
          // A failure of the destination would hold its lanes.
          verdict: 'other',
        }
      : {
          ...claim,
          outcome: { kind: 'accepted', statusCode: 200 },
          durationMs: 5,
          decision: { then: 'success' },
          verdict: 'success',
        },
  )
  for (let at = 0; at < settlements.length; at += settledMax)
    await settle(database, actor, settlements.slice(at, at + settledMax))
}

/** The largest tables. Rows are as PostgreSQL's statistics count them; those that a vacuum has not removed are dead. */
async function readSizes(database: pg.Pool): Promise<Size[]> {
  const { rows } = await database.query<Size>(`
    select coalesce(p.relname, s.relname) as table, sum(s.n_live_tup) as live, sum(s.n_dead_tup) as dead,
      sum(pg_table_size(s.relid)) as heap, sum(pg_indexes_size(s.relid)) as indexes, sum(s.autovacuum_count) as vacuums
    from pg_stat_user_tables s
    left join pg_inherits i on i.inhrelid = s.relid
    left join pg_class p on p.oid = i.inhparent
    where s.n_tup_ins > 0 and s.schemaname = 'public'
    group by 1 order by sum(pg_total_relation_size(s.relid)) desc limit 10`)
  return rows
}

function tell(day: number, messages: number, sizes: readonly Size[]): void {
  const kib = (bytes: string): string => (Number(bytes) / 1_024).toFixed(0).padStart(9)
  process.stdout.write(`day ${day}: ${messages} messages\n`)
  process.stdout.write(
    '  table                     table KiB  index KiB      live     dead  vacuums  bytes a message\n',
  )
  for (const { table, live, dead, heap, indexes, vacuums } of sizes) {
    const each = ((Number(heap) + Number(indexes)) / messages).toFixed(1)
    process.stdout.write(
      `  ${table.padEnd(26)}${kib(heap)}  ${kib(indexes)} ${live.padStart(9)} ${dead.padStart(8)} ${vacuums.padStart(8)} ${each.padStart(16)}\n`,
    )
  }
}

process.exitCode = await runCommand({
  usage,
  options: {
    days: { type: 'string', default: '7' },
    messages: { type: 'string', default: '50000' },
    retries: { type: 'string', default: '20' },
  },
  run,
})
