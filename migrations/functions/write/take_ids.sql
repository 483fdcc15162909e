-- Takes the next ids of a job's frozen set, at most `in_count` and of one piece.
--
-- Called by: step_job.
-- Returns: one row: the ids with the versions that the messages had when they were planned, and the state that stands behind them. No ids:
-- there are none left.
create or replace function take_ids(in_state replay_job_states, in_kind text, in_count int, out message_ids bigint[], out versions int[],
  out state replay_job_states)
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
  found_piece replay_plan_ids;
begin
  state := in_state;
  message_ids := '{}';
  versions := '{}';
  loop
    select * into found_piece from replay_plan_ids p
      where p.plan = state.job and p.is_replayable = state.is_at_replayable and p.piece = state.piece;
    exit when found;
    -- What can only be resolved comes last, and not in a replay.
    if in_kind = 'replay' or not state.is_at_replayable then
      return;
    end if;
    state.is_at_replayable := false;
    state.piece := 0;
  end loop;
  message_ids := found_piece.message_ids[state.place + 1 : state.place + in_count];
  versions := found_piece.versions[state.place + 1 : state.place + in_count];
  state.place := state.place + cardinality(message_ids);
  if state.place = cardinality(found_piece.message_ids) then
    state.piece := state.piece + 1;
    state.place := 0;
  end if;
end
$$;
