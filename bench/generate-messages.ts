import pg from 'pg'
import { agePiece } from '../src/log/write/fold-counts.ts'
import { baseDelayMs, retriesMax, type Script } from './message-scripts.ts'

const chunkMax = 250_000
const partitions = 8
const sliceMax = 250
// As many events as a statement of the line appends.
const eventsAPosition = 250

type Options = {
  count: number
  scripts: readonly Script[]
  /** Over how many days until now the messages were received. */
  days: number
  /** How many of them a segment holds. */
  segmentMessages?: number
  onProgress?: (done: number) => void
}

/**
 * Puts messages into the tables of an empty log, as a service that has been at work for days would have left them. The log's
 * trigger is off meanwhile, and what it derives is written beside it or rebuilt at the end, which is some ten times as fast.
 *
 * @throws a sentence if the log is not empty
 */
export async function generateMessages(databaseUrl: string, options: Options): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rowCount } = await client.query('select from message_events limit 1')
    if (rowCount !== 0)
      throw new Error('The log is not empty: give a database that the service only brought up.')
    await client.query('begin')
    await client.query('alter table message_events disable trigger project')
    await makeSegmentsFor(client, options)
    await writeScripts(client, options)
    for (let from = 0; from < options.count; from += chunkMax) {
      const to = Math.min(options.count, from + chunkMax)
      await writeChunk(client, from, to)
      options.onProgress?.(to)
    }
    await writeRest(client, options.count)
    await client.query('alter table message_events enable trigger project')
    await client.query('commit')
    await client.query('vacuum analyze')
    await client.query('select rebuild_counts(), fold_piece()')
    await client.query('select rebuild_rollups()')
    await client.query('select rebuild_failures()')
    while (await agePiece(client));
    await client.query('vacuum analyze rollups, failure_rollups')
  } finally {
    await client.end()
  }
}

/** As the sweep makes them while the ids go up. */
async function makeSegmentsFor(
  client: pg.Client,
  { count, segmentMessages = 5_000_000 }: Options,
): Promise<void> {
  for (let reached = 1; reached < count; reached += segmentMessages) {
    await client.query(`select setval('message_ids', $1)`, [reached])
    await client.query('select make_segments($1)', [segmentMessages])
  }
  await client.query(`select setval('message_ids', 1, false)`)
}

/** Which way each message goes is spread evenly over them; one that would not be through by now is delivered at once. */
async function writeScripts(client: pg.Client, { count, scripts, days }: Options): Promise<void> {
  const rows = scripts.flatMap(({ events }, script) =>
    events.map((event, at) => ({ script, version: at + 1, ...event })),
  )
  await client.query(
    `create temp table script on commit drop as
     select * from jsonb_to_recordset($1::jsonb) as e (script int, version int, type text, status text, lane text, at_ms bigint,
       due_ms bigint, retry_count int, attempt int, outcome text, status_code int, duration_ms int, reason text)`,
    [JSON.stringify(rows)],
  )
  const shares = scripts.flatMap(({ share, events }, script) =>
    Array.from({ length: share }, () => ({ script, takes_ms: events.at(-1)?.at_ms ?? 0 })),
  )
  // A step that shares no factor with a thousand visits all of them.
  const order = shares.map((_, at) => ({ place: (at * 617) % 1_000, ...shares[at] }))
  await client.query(
    `create temp table choice on commit drop as
     select * from jsonb_to_recordset($1::jsonb) as c (place int, script int, takes_ms bigint)`,
    [JSON.stringify(order)],
  )
  await client.query('analyze script, choice')
  await client.query(
    `insert into partitions (topic, partition) select 'bench.generated', p from generate_series(0, ${partitions - 1}) as p`,
  )
  const events =
    shares.reduce((sum, { script }) => sum + (scripts[script]?.events.length ?? 0), 0) / shares.length
  await client.query(
    `create temp table span on commit drop as
     select now() - $1 * interval '1 day' as since, $1 * interval '1 day' / $2::int as step,
       $1 * 86400 / greatest(1, $2::int * $3::float8 / $4) as position_seconds`,
    [days, count, events, eventsAPosition],
  )
}

/** The ids are spread over the key space as random ones are, so that the inbox's index looks as it would. */
async function writeChunk(client: pg.Client, from: number, to: number): Promise<void> {
  await client.query(
    `create temp table made on commit drop as
     select m.*, convert_to(m.body, 'UTF8') as payload, sha256(convert_to(m.body, 'UTF8')) as hash
     from (
       select n, n + 1 as message_id, s.since + n * s.step as at, n % ${partitions} as partition, n / ${partitions} as kafka_offset,
         case when s.since + n * s.step + c.takes_ms * interval '1 ms' < now() then c.script else 0 end as script,
         md5(n::text) || '-generated' as id,
         '{"transaction_id":"' || md5(n::text) || '-generated","amount":"' || n % 100000 || '.10","currency":"EUR"}' as body
       from generate_series($1::bigint, $2::bigint - 1) as n
       join choice c on c.place = n % 1000
       cross join span s
     ) m`,
    [from, to],
  )
  await client.query(`
    update made set id = format('record:bench.generated:%s:%s', partition, kafka_offset)
    from script e where e.script = made.script and e.type = 'rejected'`)
  await client.query('analyze made')
  await client.query(
    'insert into inbox (transaction_id, message_id, payload_sha256) select id, message_id, hash from made order by id',
  )
  await client.query(`
    insert into records (message_id, version, timestamp_ms, payload, payload_state, payload_bytes, is_json)
    select message_id, 1, 0, payload, 'whole', length(payload), true from made order by message_id`)
  await client.query(eventsOfChunk)
  await client.query(statesOfChunk)
  await client.query(`
    insert into partition_advances (partition_id, first_offset, next_offset, received, duplicates, conflicts, rejected, holes,
      first_message_id, last_message_id, recorded_at, actor)
    select p.partition_id, min(m.kafka_offset), max(m.kafka_offset) + 1, count(*) filter (where e.type = 'received'), 0, 0,
      count(*) filter (where e.type = 'rejected'), 0, min(m.message_id), max(m.message_id), max(m.at), 'bench/ingest'
    from made m
    join script e on e.script = m.script and e.version = 1
    join partitions p on p.topic = 'bench.generated' and p.partition = m.partition
    group by p.partition_id, m.kafka_offset / ${sliceMax}`)
  await client.query('drop table made')
}

const eventsOfChunk = `
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
    outcome, status_code, duration_ms, reason, topic, partition, kafka_offset, incarnation, payload_sha256, transaction_id)
  select t.message_id, t.version, 1 + floor(extract(epoch from t.recorded_at - s.since) / s.position_seconds), t.recorded_at, t.type,
    'bench/' || t.lane, t.status, t.retry_count, t.recorded_at + t.due_ms * interval '1 ms', t.attempt, t.outcome, t.status_code,
    t.duration_ms, replace(t.reason, '#', t.n::text),
    case when t.version = 1 then 'bench.generated' end, case when t.version = 1 then t.partition end,
    case when t.version = 1 then t.kafka_offset end, case when t.version = 1 then 1 end, case when t.version = 1 then t.hash end, case when t.version = 1 then t.id end
  from (
    select m.*, m.at + e.at_ms * interval '1 ms' as recorded_at, e.version, e.type, e.status, e.lane, e.due_ms, e.retry_count,
      e.attempt, e.outcome, e.status_code, e.duration_ms, e.reason
    from made m join script e on e.script = m.script
  ) t
  cross join span s
  order by t.message_id, t.version`

const statesOfChunk = `
  insert into message_states (message_id, transaction_id, version, status, retry_count, attempts, due_at, lease_ends_at, queue,
    error_message, outcome_unknown, position, created_at, updated_at, recorded_at)
  select m.message_id, m.id, l.version, l.status, l.retry_count, coalesce(l.attempts, 0),
    case when l.status <> 'processing' then t.recorded_at + l.due_ms * interval '1 ms' end,
    case when l.status = 'processing' then t.recorded_at + l.due_ms * interval '1 ms' end, queue_of(l.status),
    case when l.status in ('failed', 'dead_letter') then replace(l.error, '#', m.n::text) end, l.unknown,
    1 + floor(extract(epoch from t.recorded_at - s.since) / s.position_seconds), m.at, t.recorded_at, t.recorded_at
  from made m
  join (
    select distinct on (script) script, version, status, retry_count, due_ms, at_ms,
      max(attempt) over whole as attempts,
      coalesce(bool_or(outcome = 'unknown') over whole, false) as unknown,
      first_value(reason) over (partition by script order by (type in ('attempt_failed', 'rejected')) desc, version desc) as error
    from script window whole as (partition by script)
    order by script, version desc
  ) l on l.script = m.script
  cross join lateral (select m.at + l.at_ms * interval '1 ms' as recorded_at) t
  cross join span s
  order by m.message_id`

/** What the service would have registered; and positions that go on above those that were generated. */
async function writeRest(client: pg.Client, count: number): Promise<void> {
  await client.query(
    `select register_instance('bench', 'bench', 500, 50, 60000, 30000, ${retriesMax}, ${baseDelayMs}, 3600000)`,
  )
  await client.query(`
    insert into log_epochs (epoch, base, actor, reason)
    select max(epoch) + 1, max(base) + (select max(position) from message_events), 'bench', 'generated' from log_epochs`)
  await client.query(`select setval('message_ids', $1::bigint)`, [count])
  await client.query(`
    insert into event_positions (position, message_ids)
    select position, array_agg(distinct message_id) from message_events group by position order by position`)
  await client.query(`
    insert into overdue_attempts (message_id, lease_ends_at)
    select message_id, lease_ends_at from message_states where status = 'processing'`)
}
