-- Begins a new epoch in a cluster whose transaction ids lie below those that the log was written with, so that positions go on
-- rising. It does not run as its owner: only the owner of the log can call it.
--
-- Called by: src/log/write/begin-epoch.ts (`npm run epoch`).
-- Returns: the new epoch; null, and nothing is changed, if the cluster's transaction ids are high enough.
create or replace function begin_epoch(in_actor text, in_reason text) returns int
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  begun int;
begin
  -- A transaction that has read the base holds a lock on this table until it ends. So from here on nothing is appended in the old
  -- epoch, and nothing is read below its watermark. Services may keep running: they go on in the new epoch.
  lock table log_epochs in access exclusive mode;
  insert into log_epochs (epoch, base, actor, reason)
    select max(epoch) + 1, log_floor(), in_actor, in_reason from log_epochs
    having rewound_by(log_floor()) > 0
    returning epoch into begun;
  return begun;
end
$$;
