-- Whoever stores a slice says where its partition began, as far as it knows: a log that has lost all of the partition then takes no slice from
-- further on.

-- It has another parameter now.
drop function if exists ingest(text, int, int, bigint, bigint, text, int, text, bigint, bigint[], text[], text[], bytea[], bytea[], text[], int[],
  boolean[], bytea[], text[], text[], bigint[], bigint[], bigint[]);
