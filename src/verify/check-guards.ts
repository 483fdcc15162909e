import type pg from 'pg'
import type { Invariants } from './invariants.ts'

// What is appended to and never changed. Partitions of the first two have guards of their own.
const ground = [
  'message_events',
  'records',
  'inbox',
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

/** S29: the trigger that refuses every change is on, always, on each table of the ground and on each segment. */
export async function checkGuards(client: pg.Client, { S29 }: Invariants): Promise<void> {
  const { rows } = await client.query<{ name: string; is_guarded: boolean }>(
    `select c.oid::regclass::text as name, exists (
        select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'append_only' and t.tgenabled = 'A') as is_guarded
      from pg_class c
      where c.oid in (
        select to_regclass('public.' || name) from unnest($1::text[]) as name
        union all
        select i.inhrelid from pg_inherits i
        where i.inhparent in (to_regclass('public.message_events'), to_regclass('public.records')))
      order by 1`,
    [ground],
  )
  for (const { name, is_guarded: isGuarded } of rows) {
    S29.checked += 1
    if (!isGuarded)
      S29.differ(name, null, 'the trigger append_only is not on always: its rows can be changed')
  }
}
