import type { Pool } from 'pg'
import type { Test } from 'tap'
import type { Report } from '../../src/verify/verify.ts'
import { database, type TestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { writeHistory, type History } from './history.ts'

const tables = [
  'message_events',
  'records',
  'inbox',
  'message_states',
  'decided_messages',
  'event_positions',
  'lease_checks',
  'overdue_attempts',
  'status_count_deltas',
  'status_count_folds',
  'rollups',
  'failure_deltas',
  'failure_rollups',
  'rollup_bounds',
  'partition_folds',
  'partition_holes',
  'partition_advances',
  'partition_decisions',
  'destination_decisions',
  'destinations',
  'instances',
  'legal_transitions',
]

export type Breakable = TestDatabase & {
  history: History
  /** Puts everything back as the history left it. */
  mend: () => Promise<void>
}

/** A history on a database whose ground state can be changed by hand, as only its superuser can. */
export async function breakable(
  t: Pick<Test, 'teardown'>,
  write: (pool: Pool) => Promise<History> = writeHistory,
): Promise<Breakable> {
  const { url, pool } = await database(t)
  const history = await write(pool)
  await pool.query('create schema saved')
  for (const table of tables) {
    await pool.query(`create table saved.${table} as select * from public.${table}`)
    await pool.query(`alter table ${table} disable trigger user`)
  }
  // What is appended by hand is projected all the same, so that only what a test breaks is broken.
  await pool.query('alter table message_events enable trigger project')
  // The guards stand, as S29 wants them, and refuse nothing.
  await pool.query(`create or replace function refuse_change() returns trigger language plpgsql as $$ begin return null; end $$;
    do $do$
    declare
      guarded text;
    begin
      for guarded in select tgrelid::regclass::text from pg_trigger where tgname = 'append_only' and tgenabled <> 'A' loop
        execute format('alter table only %s enable always trigger append_only', guarded);
      end loop;
    end $do$`)
  return { url, pool, history, mend: () => mend(pool) }
}

async function mend(pool: Pool): Promise<void> {
  await pool.query('alter table message_events disable trigger project')
  for (const table of tables)
    await pool.query(`delete from ${table}; insert into ${table} select * from saved.${table}`)
  await pool.query('alter table message_events enable trigger project')
}

/**
 * Appends an event to a message, recorded as its last one was and a copy of it but for what is given.
 *
 * @param dueMs from when it is recorded to its due time; null for none
 */
export async function append(
  pool: Pool,
  transactionId: string,
  dueMs: number | null,
  event: Record<string, unknown>,
): Promise<void> {
  const { rowCount } = await pool.query(
    `insert into message_events
      select n.*
      from (
        select l.* from message_events f join message_events l on l.message_id = f.message_id
        where f.version = 1 and f.transaction_id = $1
        order by l.version desc limit 1
      ) e
      cross join lateral jsonb_populate_record(null::message_events, to_jsonb(e) || jsonb_build_object('version', e.version + 1, 'attempt', null,
        'outcome', null, 'reason', null, 'resolution', null, 'evidence', null, 'topic', null, 'partition', null, 'kafka_offset', null, 'incarnation', null, 'payload_sha256', null,
        'transaction_id', null, 'related_message_id', null, 'due_at', e.recorded_at + $2 * interval '1 ms') || $3) n`,
    [transactionId, dueMs, JSON.stringify(event)],
  )
  if (rowCount !== 1) throw new Error(`there is no message ${transactionId}`)
}

/** Makes a step legal, so that what else is wrong with it is what is found. */
export async function allow(pool: Pool, from: string, type: string, to: string): Promise<void> {
  await pool.query('insert into legal_transitions values ($1, $2, $3)', [from, type, to])
}

/** The invariants that differ, each with its differences as lines. */
export function differing(report: Report): Record<string, string[]> {
  return Object.fromEntries(
    report.invariants
      .filter((invariant) => invariant.differences > 0)
      .map(({ id, named }) => [
        id,
        named.map(({ name, version, what }) => `${name}${version === null ? '' : ` v${version}`}: ${what}`),
      ]),
  )
}

/** Folds what waits, and makes days of all rollups that there are. */
export async function foldIntoDays(pool: Pool): Promise<void> {
  // The watermark is the whole cluster's: other tests hold it back for a while.
  await until('all deltas to be folded', async () => {
    await pool.query('select fold_piece()')
    return (
      (await pool.query('select from status_count_deltas union all select from failure_deltas')).rowCount ===
      0
    )
  })
  await until('all rollups to be days', async () => {
    await pool.query(`select age_rollups('-48 hours', '-48 hours')`)
    return (await pool.query('select from rollup_bounds where days_below > now()')).rowCount === 1
  })
}
