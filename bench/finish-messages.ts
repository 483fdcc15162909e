import pg from 'pg'

/**
 * Puts finished messages into the tables, as millions of earlier transactions would have left them: each received, started and
 * succeeded. The log's trigger is off meanwhile and the projection is written beside it, which is some ten times as fast.
 */
export async function finishMessages(databaseUrl: string, count: number): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query('begin')
    await client.query('alter table message_events disable trigger project')
    await client.query(
      statement('inbox (transaction_id, message_id, payload_sha256)', `select id, n, hash from made`),
      [count],
    )
    await client.query(
      statement(
        'records (message_id, version, timestamp_ms, payload, payload_state, payload_bytes, is_json)',
        `select n, 1, 0, payload, 'whole', length(payload), true from made`,
      ),
      [count],
    )
    await client.query(
      statement(
        `message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt, outcome,
           status_code, duration_ms, topic, partition, kafka_offset, payload_sha256, transaction_id)`,
        `select n, v, 0, at + v * interval '1 ms', (array['received', 'attempt_started', 'succeeded'])[v], 'bench/fresh',
           (array['pending', 'processing', 'success'])[v], 0,
           (array[at + interval '1 ms', at + interval '2 ms' + interval '1 minute', null])[v], case when v > 1 then 1 end, case when v = 3 then 'accepted' end,
           case when v = 3 then 200 end, case when v = 3 then 1 end,
           case when v = 1 then 'bench.finished' end, case when v = 1 then 0 end, case when v = 1 then n end,
           case when v = 1 then hash end, case when v = 1 then id end
         from made cross join generate_series(1, 3) as v`,
      ),
      [count],
    )
    await client.query(
      statement(
        `message_states (message_id, transaction_id, version, status, retry_count, attempts, outcome_unknown, position, created_at,
           updated_at, recorded_at)`,
        `select n, id, 3, 'success', 0, 1, false, 0, at + interval '1 ms', at + interval '3 ms', at + interval '3 ms' from made`,
      ),
      [count],
    )
    await client.query(`select register_instance('bench', 'bench', 500, 5, 60000, 30000, 5, 60000, 3600000)`)
    await client.query(`insert into partitions (topic, partition) values ('bench.finished', 0)`)
    await client.query(
      `insert into partition_advances
       select partition_id, 1, $1::int + 1, $1::int, 0, 0, 0, 0, now(), 'bench/ingest' from partitions where topic = 'bench.finished'`,
      [count],
    )
    await client.query(`insert into status_count_deltas values (0, 0, 0, $1::int, 0, 0)`, [count])
    await client.query(`select setval('message_ids', $1::bigint)`, [count])
    await client.query('alter table message_events enable trigger project')
    await client.query('commit')
    await client.query('vacuum analyze')
  } finally {
    await client.end()
  }
}

/** The ids are spread over the key space as random ones are, so that the inbox's index looks as it would. */
function statement(into: string, select: string): string {
  return `with made as (
      select n, md5(n::text) || '-finished' as id, convert_to('{"transaction_id":"' || md5(n::text) || '-finished"}', 'UTF8') as payload,
        sha256(convert_to('{"transaction_id":"' || md5(n::text) || '-finished"}', 'UTF8')) as hash,
        now() - interval '1 day' + n * interval '1 microsecond' as at
      from generate_series(1, $1::int) as n
    )
    insert into ${into} ${select}`
}
