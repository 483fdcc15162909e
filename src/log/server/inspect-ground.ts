import type { Pool } from 'pg'
import { functionNames } from '../../runtime/migrate.ts'
import { inspectServer } from './inspect-server.ts'

// The tables that refuse_change() guards: they are appended to, and nobody changes them.
const guarded = [
  'message_events',
  'inbox',
  'records',
  'partition_advances',
  'partition_holes',
  'partition_decisions',
  'destination_decisions',
  'instances',
  'log_epochs',
  'server_changes',
  'log_segments',
  'segment_archives',
  'archived_rollups',
  'archived_failures',
  'archived_duplicates',
  'replay_jobs',
  'replay_job_events',
  'accesses',
]
const keyed = [
  ...guarded,
  'partitions',
  'stray_outcomes',
  'payload_retention',
  'legal_transitions',
  'message_states',
  'overdue_attempts',
  'decided_messages',
  'destinations',
  'status_count_folds',
  'rollups',
  'failure_rollups',
  'rollup_bounds',
  'partition_folds',
  'replay_plans',
  'replay_plan_ids',
  'replay_job_states',
  'replay_job_open',
]
const read = [
  ...keyed,
  'event_positions',
  'lease_checks',
  'status_count_deltas',
  'failure_deltas',
  'messages',
  'stopped_partitions',
]

type GroundFacts = {
  /** `tgenabled` of the trigger project in pg_trigger: O and A mean on; null if the trigger does not exist. */
  projection: string | null
  replication_role: string
  unguarded: string[]
  guards_records: boolean
  missing: string[]
  unkeyed: string[]
  denied: string[]
  /** Tables of which row-level security shows this role a part only, perhaps nothing, and no error. */
  hidden: string[]
}

const text = `
  select
    (select t.tgenabled::text from pg_trigger t
      where t.tgrelid = to_regclass('public.message_events') and t.tgname = 'project') as projection,
    current_setting('session_replication_role') as replication_role,
    array(
      select name from unnest($1::text[]) as name
      where to_regclass('public.' || name) is not null and not exists (
        select from pg_trigger t
        where t.tgrelid = to_regclass('public.' || name) and t.tgname = 'append_only' and t.tgenabled = 'A')
      union all
      select i.inhrelid::regclass::text from pg_inherits i
      where i.inhparent in (to_regclass('public.message_events'), to_regclass('public.records')) and not exists (
        select from pg_trigger t where t.tgrelid = i.inhrelid and t.tgname = 'append_only' and t.tgenabled = 'A')
      order by 1) as unguarded,
    not exists (
      select from (
        select to_regclass('public.records')::oid as table
        union all
        select i.inhrelid from pg_inherits i where i.inhparent = to_regclass('public.records')
      ) r
      where r.table is not null and not exists (
        select from pg_trigger t where t.tgrelid = r.table and t.tgname = 'expunge_only' and t.tgenabled = 'A')
    ) as guards_records,
    array(
      select name from unnest($3::text[]) as name where to_regclass('public.' || name) is null
      union all
      select name || '()' from unnest($4::text[]) as name
      where not exists (
        select from pg_proc p where p.pronamespace = to_regnamespace('public') and p.proname = name)
      order by 1) as missing,
    array(
      select name from unnest($2::text[]) as name
      where to_regclass('public.' || name) is not null and not exists (
        select from pg_index i
        where i.indrelid = to_regclass('public.' || name) and i.indisprimary and i.indisvalid)
      order by 1) as unkeyed,
    array(
      select name from unnest($3::text[]) as name
      where not has_table_privilege(to_regclass('public.' || name), 'select')
      union all
      select p.proname || '()' from pg_proc p
      where p.pronamespace = to_regnamespace('public') and p.proname = any ($4::text[])
        and (p.prosecdef or p.provolatile <> 'v') and not has_function_privilege(p.oid, 'execute')
      order by 1) as denied,
    array(
      select name from unnest($3::text[]) as name
      where row_security_active(to_regclass('public.' || name)) and not (
        select coalesce(bool_and(p.permissive = 'PERMISSIVE') and bool_or(p.qual = 'true'), false) from pg_policies p
        where p.schemaname = 'public' and p.tablename = name and p.cmd in ('ALL', 'SELECT') and exists (
          select from unnest(p.roles) as r where case r when 'public' then true else pg_has_role(r, 'usage') end))
      order by 1) as hidden`

const segmentTables = ['log_segments', 'segment_archives']
// Partitions of segments that are neither attached nor archived. Both are read in one snapshot, which to_regclass() would not do for
// a partition.
const findLost = `
  select p.parent || '_s' || s.segment as name
  from log_segments s
  cross join unnest(array['message_events', 'message_states', 'records']) as p(parent)
  where not exists (select from segment_archives a where a.segment = s.segment) and not exists (
    select from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = to_regclass('public.' || p.parent) and c.relname = p.parent || '_s' || s.segment)
    and to_regclass('public.' || p.parent) is not null
  order by 1`

/**
 * Looks at what the log needs: its trigger, the guards of the tables that are never changed, the primary keys, the functions, the segments,
 * the role's rights, also to each row, and a server that forgets nothing. After a restore that failed half-way some of it is missing.
 *
 * @returns one sentence for an operator for each fault; none if nothing is missing
 */
export async function inspectGround(database: Pick<Pool, 'query'>): Promise<string[]> {
  const { rows } = await database.query<GroundFacts>({
    name: 'inspect_ground',
    text,
    values: [guarded, keyed, read, await functionNames()],
  })
  const [facts] = rows
  if (facts === undefined) throw new Error('the ground of the log is one row')
  // The start refuses a server that may forget commits. It may have become one since.
  const faults = [...(await inspectServer(database)).faults, ...judgeGround(facts)]
  if ([...facts.missing, ...facts.denied].some((name) => segmentTables.includes(name))) return faults
  const lost = await database.query<{ name: string }>({ name: 'find_lost_segments', text: findLost })
  if (lost.rows.length > 0)
    faults.push(
      `Segments of the log are gone and were not archived: ${lost.rows.map(({ name }) => name).join(', ')}.`,
    )
  return faults
}

function judgeGround(facts: GroundFacts): string[] {
  const { projection, replication_role: role, unguarded, missing, unkeyed, denied, hidden } = facts
  const faults: string[] = []
  const tell = (names: string[], what: string): void => {
    if (names.length > 0) faults.push(`${what}: ${names.join(', ')}.`)
  }
  if (projection === null) faults.push('The trigger project of message_events is gone.')
  else if (projection === 'O' && role === 'replica')
    faults.push(
      'The trigger project of message_events is off, because session_replication_role is replica (a default of the server, the ' +
        'database or the role): set session_replication_role to origin.',
    )
  else if (projection !== 'A' && projection !== 'O')
    faults.push('The trigger project of message_events is off.')
  tell(unguarded, 'The trigger append_only is not on always, and the log can be changed')
  if (!facts.guards_records)
    faults.push('The trigger expunge_only of records is not on always, and payloads can be changed.')
  tell(missing, 'Missing')
  tell(unkeyed, 'Without primary key')
  tell(denied, 'Not granted to this role')
  tell(
    hidden,
    'Row-level security hides rows from this role, which needs a policy for all rows, or bypassrls',
  )
  return faults
}
