-- Has positions go on rising in a cluster whose transaction ids lie below those the log was written with, and answers the new
-- epoch; null if they do not. For the owner: it does not run as anybody else.
create or replace function begin_epoch(in_actor text, in_reason text) returns int
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  begun int;
begin
  -- Whoever has read the base holds a lock on this table until its transaction ends. So nothing of the old epoch is appended, nor
  -- read below its watermark, after this: the services of the old epoch may keep running, and go on in the new one.
  lock table log_epochs in access exclusive mode;
  insert into log_epochs (epoch, base, actor, reason)
    select max(epoch) + 1, log_floor(), in_actor, in_reason from log_epochs
    having rewound_by(log_floor()) > 0
    returning epoch into begun;
  return begun;
end
$$;
