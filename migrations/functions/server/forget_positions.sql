-- Deletes the next rows of `event_positions` that name archived messages only, so that who reads the log from its beginning does not
-- walk over them. The last row stays, because it says where the log ends.
--
-- Called by: src/log/archive/forget-positions.ts, again and again. `in_above` is the position that was reached, `in_rows_max` how
-- many rows are looked at.
-- Returns: the position that was reached now; null at the end.
create or replace function forget_positions(in_above bigint, in_rows_max int) returns bigint
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
  reached bigint;
  -- Segments that follow each other are one range here, so an id is compared with few ranges and not with each archive.
  archived_ids int8multirange := (
    select range_agg(int8range(a.first_message_id, a.next_message_id)) from segment_archives a
  );
  archived_to bigint := (select max(a.highest_position) from segment_archives a);
begin
  select max(l.position) into reached from (
    select p.position from event_positions p
    where p.position > in_above and p.position <= archived_to
    order by p.position limit in_rows_max
  ) l;
  delete from event_positions p
    where p.position > in_above and p.position <= reached
      and p.position < (select l.position from event_positions l order by l.position desc limit 1)
      and not exists (select from unnest(p.message_ids) as m(message_id) where not archived_ids @> m.message_id);
  return reached;
end
$$;
