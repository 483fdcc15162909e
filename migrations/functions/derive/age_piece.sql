-- Folds a piece of the rollups that are older than 35 days into hours, or of those older than 400 days into days. So a month can
-- be seen by the minute, with some days to spare, and by the hour next to the same month a year before. These two figures stand
-- nowhere else in the code. The service cannot choose them: hours do not become minutes again, except by a rebuild.
--
-- Called by: src/log/write/fold-counts.ts (the sweep).
-- Returns: as `age_rollups` does.
create or replace function age_piece() returns boolean
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  return age_rollups('35 days', '400 days');
end
$$;
