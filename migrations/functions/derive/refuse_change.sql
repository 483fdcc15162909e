-- Refuses every UPDATE, DELETE and TRUNCATE of the tables that are appended to and never changed. It stops the owner of the log
-- too. There is one exception: an UPDATE of `records` is left to the trigger `expunge_only`, which sees the rows.
--
-- Called by: the trigger `append_only` of each of these tables, which this file makes; the triggers `append_only` and
-- `past_the_log` of each segment (make_segments).
-- Refuses: always, with the SQLSTATE 42501 (insufficient_privilege).
--
-- The triggers are statement triggers, because a row trigger does not stop TRUNCATE. They are `enable always`, because
-- session_replication_role must not switch them off.
create or replace function refuse_change() returns trigger
language plpgsql as $$
begin
  raise exception '% on % is refused: the log is append-only', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end
$$;

do $$
declare
  ground text;
begin
  foreach ground in array array['message_events', 'inbox', 'records', 'partition_advances', 'partition_holes',
    'partition_decisions', 'instances', 'log_epochs', 'server_changes', 'log_segments',
    'destination_decisions', 'segment_archives', 'archived_rollups', 'archived_failures', 'archived_duplicates',
    'replay_jobs', 'replay_job_events', 'accesses']
  loop
    execute format('create or replace trigger append_only before %s on %I for each statement execute function refuse_change()',
      case when ground = 'records' then 'delete or truncate' else 'update or delete or truncate' end, ground);
    execute format('alter table %I enable always trigger append_only', ground);
  end loop;
end
$$;
