import type pg from 'pg'
import { forgetNames, type Served } from './pooler.ts'

/** How long the server lets a statement run, and wait for a lock, on behalf of a session of ours. */
export type SessionLimits = { readonly statementTimeoutMs: number; readonly lockTimeoutMs: number }

const askMsMax = 5_000

/**
 * What our statements rest on, whatever the server, the database or the role has for a default. Names that a server does not know
 * are passed over: `transaction_timeout` came with PostgreSQL 17. Not among them is what an operator may want for reasons of his
 * own, such as costs, memory or tablespaces.
 */
const settings = {
  search_path: 'public, pg_temp',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  client_encoding: 'UTF8',
  datestyle: 'ISO, YMD',
  timezone: 'UTC',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  transform_null_equals: 'off',
  plan_cache_mode: 'auto',
  // A parallel plan, of the checker or of a picture of a month, would take cores from the payments.
  max_parallel_workers_per_gather: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  // With it an error that a function handles ends the session all the same: a slice with a known identity could never be stored.
  exit_on_error: 'off',
  // With it a GIN index answers with a random part of what it finds.
  gin_fuzzy_search_limit: '0',
}

// By itself, and cheap whatever the planner is told: the next statement took 1.7 s where it was compiled.
const statementBefore = `select pg_backend_pid() is distinct from $1::int as is_pooled,
    case when pg_backend_pid() = $1::int then set_config('jit', 'off', false) end,
    case when pg_backend_pid() = $1::int then set_config('statement_timeout', $2, false) end`

// In Turkish the lower case of IntervalStyle begins with another letter.
const statement = `with wanted (name, value) as (
      select key, value from jsonb_each_text($1::jsonb)
      union all
      select name, boot_val from pg_settings where starts_with(name, 'enable_')
    ),
    applied as materialized (
      select set_config(s.name, w.value, false) from wanted w join pg_settings s on lower(s.name collate "C") = w.name where not $2::boolean
    )
  select (select count(*) from applied) as applied,
    current_setting('default_transaction_read_only')::boolean as is_read_only,
    current_setting('default_transaction_isolation') as isolation,
    current_setting('standard_conforming_strings') as conforming,
    current_setting('client_encoding') as encoding,
    current_setting('exit_on_error')::boolean as exits,
    current_setting('gin_fuzzy_search_limit') as fuzzy_limit,
    current_setting('search_path') as search_path,
    case when $2 and has_schema_privilege('public', 'usage')
      then not exists (
        select from pg_class log join pg_class c on c.relnamespace = log.relnamespace and c.relowner = log.relowner
        where log.oid = to_regclass('public.message_events') and c.relkind in ('r', 'p', 'v') and not pg_table_is_visible(c.oid)
      ) else true end as finds_ours,
    (select setting::int from pg_settings where name = 'statement_timeout') as timeout_ms,
    (
      select count(*)::int from pg_stat_activity
      where not $2 and datname = current_database() and starts_with(application_name, current_setting('application_name'))
        and wait_event = 'SyncRep' and clock_timestamp() - query_start > $3 * interval '1 millisecond'
    ) as unconfirmed`

type Found = {
  is_read_only: boolean
  isolation: string
  conforming: string
  encoding: string
  exits: boolean
  fuzzy_limit: string
  search_path: string
  finds_ours: boolean
  timeout_ms: number
  unconfirmed: number
}

/**
 * Makes a new connection ready for statements that are each a transaction. A direct one gets the settings that they rest on, and its
 * time limits: of a statement (and of an idle transaction, which we have none of), and of its waits for locks. Behind a pooler the
 * session is another's at once: nothing is set on it, nothing is prepared by name on it (PgBouncer before 1.21 loses names,
 * and a name costs a parse of one short call), and what our statements rest on must come from the pooler or the role.
 *
 * @param limits null for a tool, whose statements may take as long as the log is
 * @throws Error with a sentence, if sessions cannot be worked with as they are
 */
export async function prepareSession(client: pg.ClientBase, limits: SessionLimits | null): Promise<void> {
  const { processID } = client as pg.ClientBase & Served
  const wanted = { ...settings, ...nameLimits(limits) }
  const ask = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row> => {
    const { rows } = await client.query<Row>({ text, values, query_timeout: askMsMax } as pg.QueryConfig)
    if (rows[0] === undefined) throw new Error('what the server says of a session is one row')
    return rows[0]
  }
  const { is_pooled: isPooled } = await ask<{ is_pooled: boolean }>(statementBefore, [
    processID,
    wanted.statement_timeout,
  ])
  if (isPooled) forgetNames(client)
  const found = await ask<Found>(statement, [wanted, isPooled, limits?.statementTimeoutMs])
  const fault = findFault(found, isPooled, limits)
  if (fault !== null) throw new Error(fault)
}

function nameLimits(limits: SessionLimits | null) {
  const timeoutMs = String(limits?.statementTimeoutMs ?? 0)
  return {
    statement_timeout: timeoutMs,
    idle_in_transaction_session_timeout: timeoutMs,
    ...(limits !== null && { lock_timeout: String(limits.lockTimeoutMs) }),
  }
}

function findFault(found: Found, isPooled: boolean, limits: SessionLimits | null): string | null {
  // Not overridden: who sets it means that nothing is written, for as long as a disk is full or a failover takes.
  if (found.is_read_only)
    return (
      'sessions are read-only (default_transaction_read_only is on for the server, the database or the role): ' +
      'set it to off'
    )
  // No time limit of PostgreSQL ends a commit's wait for its standby, and to cancel the wait would make the commit visible, although a
  // failover may still undo it. So such sessions are left alone, and no new session is opened beside them.
  if (found.unconfirmed > 0)
    return `commits that were given up still wait for a synchronous standby (sessions: ${found.unconfirmed})`
  return isPooled ? findPooledFault(found, limits) : null
}

function findPooledFault(found: Found, limits: SessionLimits | null): string | null {
  const { timeout_ms: timeoutMs } = found
  if (limits !== null && (timeoutMs === 0 || timeoutMs > limits.statementTimeoutMs)) {
    const limit = timeoutMs === 0 ? 'no statement_timeout' : `a statement_timeout of ${timeoutMs} ms`
    return blame(
      limit,
      `one of at most ${limits.statementTimeoutMs} ms`,
      'statement_timeout',
      limits.statementTimeoutMs,
    )
  }
  if (found.isolation !== 'read committed')
    return blame(
      `default_transaction_isolation ${found.isolation}`,
      'read committed',
      'default_transaction_isolation',
      `'read committed'`,
    )
  if (!found.finds_ours)
    return blame(`search_path ${found.search_path}`, 'one that begins with public', 'search_path', 'public')
  if (found.encoding !== 'UTF8')
    return blame(`client_encoding ${found.encoding}`, 'UTF8', 'client_encoding', 'UTF8')
  if (found.conforming !== 'on')
    return blame('standard_conforming_strings off', 'on', 'standard_conforming_strings', 'on')
  if (found.exits) return blame('exit_on_error on', 'off', 'exit_on_error', 'off')
  if (found.fuzzy_limit !== '0')
    return blame(`gin_fuzzy_search_limit ${found.fuzzy_limit}`, '0', 'gin_fuzzy_search_limit', 0)
  return null
}

function blame(has: string, needs: string, name: string, value: string | number): string {
  return (
    `the connection pooler's sessions have ${has}: give them ${needs} ` +
    `(alter role … set ${name} = ${value}, or connect_query of PgBouncer)`
  )
}
