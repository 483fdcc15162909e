import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Pool } from 'pg'
import { migrate } from '../../src/runtime/migrate.ts'
import { database } from '../support/database.ts'
import { rebuildAll } from '../support/rebuild.ts'
import { until } from '../support/until.ts'

const folder = fileURLToPath(new URL('../../migrations/', import.meta.url))

/** The tables of the release before, with a segment, and in it one message that is paid. */
async function layOutBefore(pool: Pool): Promise<void> {
  await pool.query(`create table schema_migrations (
    name text primary key, checksum text not null, applied_at timestamptz not null default clock_timestamp())`)
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.sql') && each < '0012')) {
    const sql = readFileSync(`${folder}${name}`, 'utf8')
    await pool.query(sql)
    await pool.query('insert into schema_migrations (name, checksum) values ($1, $2)', [
      name,
      createHash('sha256').update(sql).digest('hex'),
    ])
  }
  // The function alone: the triggers that follow it are of later tables too.
  const [refuseChange = ''] = /^[^]*?\n\$\$;\n/.exec(
    readFileSync(`${folder}functions/derive/refuse_change.sql`, 'utf8'),
  ) ?? ['']
  await pool.query(refuseChange)
  await pool.query(readFileSync(`${folder}functions/server/make_segments.sql`, 'utf8'))
  await pool.query('select make_segments(1000)')
  await pool.query(`insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at,
      attempt, outcome, transaction_id, topic, partition, kafka_offset, incarnation, payload_sha256)
    values (1, 1, 5, '2026-01-01', 'received', 'one/ingest', 'pending', 0, '2026-01-01', null, null, 'old', 't', 0, 0, 1, ''),
      (1, 2, 5, '2026-01-01', 'attempt_started', 'one/fresh', 'processing', 0, '2026-01-02', 1, null, null, null, null, null, null, null),
      (1, 3, 6, '2026-01-01', 'succeeded', 'one/fresh', 'success', 0, null, 1, 'accepted', null, null, null, null, null, null)`)
  await pool.query(`insert into message_states (message_id, created_at, position, updated_at, recorded_at, version, retry_count, attempts,
      outcome_unknown, status, transaction_id)
    values (1, '2026-01-01', 6, '2026-01-01', '2026-01-01', 3, 0, 1, false, 'success', 'old')`)
  await pool.query(`insert into event_positions values (5, '{1}'), (6, '{1}')`)
}

t.test(
  'a log of the release before gets the column and the index in each segment, old and new',
  async (t) => {
    const { pool, url } = await database(t, { empty: true })
    await layOutBefore(pool)
    const names = (await migrate({ connectionString: url })).filter((name) => !name.startsWith('functions/'))
    t.ok(names.includes('0012_reference.sql'))
    await pool.query(`select setval('message_ids', 900)`)
    await pool.query('select make_segments(1000)')
    const { rows } = await pool.query<{ segment: string; index: boolean }>(
      `select c.relname as segment, exists (
        select from pg_index i where i.indrelid = c.oid and i.indisvalid and pg_get_indexdef(i.indexrelid) like '%(reference, message_id)%'
      ) as index
     from pg_inherits h join pg_class c on c.oid = h.inhrelid
     where h.inhparent = 'message_events'::regclass order by 1`,
    )
    t.ok(rows.length >= 2)
    for (const { segment, index } of rows) t.ok(index, segment)
    const { rows: paid } = await pool.query('select transaction_id, status, reference from messages')
    t.strictSame(paid, [{ transaction_id: 'old', status: 'success', reference: null }])
    const states = (await rebuildAll(pool)).filter(({ kind }) => kind === 'column')
    t.strictSame(states, [], 'the states are what the log says')
  },
)

t.test(
  'a migration that meets a writer in a deadlock takes all tables at once and gets through',
  async (t) => {
    const { pool, url } = await database(t, { empty: true })
    await layOutBefore(pool)
    // The migration notices it, and is thrown out, long before the writer would be.
    await pool.query(`alter database ${new URL(url).pathname.slice(1)} set deadlock_timeout = '1800ms'`)
    const writer = await pool.connect()
    await writer.query(`set deadlock_timeout = '60s'`)
    await writer.query('begin')
    await writer.query('lock table message_states in row exclusive mode')
    const migrating = migrate({ connectionString: url })
    migrating.catch(() => undefined)
    await until('the migration to have the events, and to wait for the states', async () => {
      const { rows } = await pool.query(
        `select from pg_locks where relation = 'message_states'::regclass and mode = 'AccessExclusiveLock' and not granted`,
      )
      return rows.length === 1
    })
    await writer.query('lock table message_events in row exclusive mode')
    await writer.query('commit')
    writer.release()
    t.ok((await migrating).includes('0012_reference.sql'))
  },
)
