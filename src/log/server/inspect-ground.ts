import type { Pool } from 'pg'
import { functionNames } from '../../runtime/migrate.ts'

// The tables that refuse_change() guards: they are appended to, and nobody changes them.
const guarded = [
  'message_events',
  'inbox',
  'records',
  'partition_advances',
  'partition_holes',
  'partition_decisions',
  'instances',
  'log_epochs',
  'server_changes',
]
const keyed = [
  ...guarded,
  'partitions',
  'stray_outcomes',
  'legal_transitions',
  'message_states',
  'status_count_folds',
  'rollups',
  'failure_rollups',
  'partition_folds',
]
const read = [...keyed, 'status_count_deltas', 'failure_deltas', 'messages', 'stopped_partitions']

type GroundFacts = {
  /** `tgenabled` of the trigger project in pg_trigger: O and A mean on; null if the trigger does not exist. */
  projection: string | null
  replication_role: string
  unguarded: string[]
  missing: string[]
  unkeyed: string[]
  denied: string[]
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
      order by 1) as unguarded,
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
      order by 1) as denied`

/**
 * Looks at what the log needs: its trigger, the guards of the tables that are never changed, the primary keys, the functions,
 * and the role's rights. After a restore that failed half-way some of it is missing.
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
  return judgeGround(facts)
}

function judgeGround(facts: GroundFacts): string[] {
  const { projection, replication_role: role, unguarded, missing, unkeyed, denied } = facts
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
  tell(missing, 'Missing')
  tell(unkeyed, 'Without primary key')
  tell(denied, 'Not granted to this role')
  return faults
}
