import t from 'tap'
import { verify } from '../../src/verify/verify.ts'
import { allow, append, breakable, differing, foldIntoDays } from './broken.ts'

const { url, pool, mend } = await breakable(t)

/** An event's place: the nth of its type in a message, from 1. */
function event(transactionId: string, type: string, nth = 1): string {
  return `(message_id, version) = (
    select e.message_id, e.version from message_events e
    where e.message_id = ${idOf(transactionId)} and e.type = '${type}' order by e.version offset ${nth - 1} limit 1)`
}

function idOf(transactionId: string): string {
  return `(select f.message_id from saved.message_events f where f.transaction_id = '${transactionId}')`
}

/** Has the order of the log lead to the event where it is now. */
function lead(where: string): string {
  return `insert into event_positions select position, array[message_id] from message_events where ${where}`
}

function sql(...statements: string[]): () => Promise<void> {
  return async () => {
    for (const statement of statements) {
      const { rowCount } = await pool.query(statement)
      if (rowCount === 0) throw new Error(`nothing is broken by ${statement}`)
    }
  }
}

/** The same, when all rollups are folded and have become days. */
function aged(...statements: string[]): () => Promise<void> {
  return async () => {
    await foldIntoDays(pool)
    await sql(...statements)()
  }
}

/**
 * The case breaks exactly these invariants, and a line of each says which message and what. The rollups follow what the log
 * became, so that it alone is broken, unless it is they that are.
 */
type Case = {
  broken: string
  by: () => Promise<unknown>
  found: Record<string, RegExp>
  rollups?: 'broken'
}

const cases: Case[] = [
  {
    broken: 'a gap in the versions',
    by: sql(
      `update message_events set version = 6 where ${event('delivered', 'conflict_received')}`,
      `update message_states set version = 6 where message_id = ${idOf('delivered')}`,
    ),
    found: { S1: /^delivered v6: follows version 4$/ },
  },
  {
    broken: 'an offset that two events account for',
    by: async () => {
      await append(pool, 'delivered', null, {
        type: 'duplicate_received',
        topic: 'transactions.incoming',
        partition: 0,
        kafka_offset: 0,
        incarnation: 1,
        payload_sha256: await hashOf('delivered'),
      })
      await pool.query(`insert into records (message_id, version, payload_state, payload_bytes, is_json)
        select message_id, 6, 'same', payload_bytes, false from records where message_id = ${idOf('delivered')} and version = 1`)
    },
    found: { S2: /^delivered v6: transactions\.incoming:0:0 is accounted for a second time$/ },
  },
  {
    broken: 'a message that the inbox does not know',
    by: sql(`delete from inbox where transaction_id = 'refused'`),
    found: { S2: /^refused v1: message \d+ is not in the inbox$/ },
  },
  {
    broken: 'an identity in the inbox that no message has',
    by: sql(`insert into inbox values ('lost', 4711, sha256('lost'))`),
    found: { S2: /^lost v1: the inbox knows it as message 4711, which has no version 1$/ },
  },
  {
    broken: 'an inbox with the hash of other bytes',
    by: sql(`update inbox set payload_sha256 = sha256('other') where transaction_id = 'refused'`),
    found: { S2: /^refused v1: the inbox knows message \d+ with another hash$/ },
  },
  {
    broken: 'an identity with two messages',
    by: sql(
      `alter table inbox drop constraint inbox_pkey`,
      `insert into inbox select transaction_id, 4711, payload_sha256 from inbox where transaction_id = 'refused'`,
      `insert into message_events select n.* from message_events e
        cross join lateral jsonb_populate_record(null::message_events, to_jsonb(e) || '{"message_id": 4711, "kafka_offset": 999}') n
        where e.message_id = ${idOf('refused')} and e.version = 1`,
      `insert into records select 4711, version, key, headers, traceparent, timestamp_ms, payload, payload_state,
        payload_bytes, is_json from records where message_id = ${idOf('refused')}`,
    ),
    found: { S2: /^refused v1: is the identity of messages \d+, 4711$/ },
  },
  {
    broken: 'a record event of an offset that was never consumed',
    by: sql(
      `update message_events set kafka_offset = 999 where ${event('delivered', 'duplicate_received')}`,
      `update partition_advances set duplicates = duplicates - 1, holes = holes + 1
        where duplicates > 0 and conflicts = 1 and rejected > 0`,
      `insert into partition_holes select partition_id, o.kafka_offset, o.kafka_offset + 1, now(), 'steady/ingest'
        from partitions p, saved.message_events o where p.partition = 0 and o.type = 'duplicate_received'
          and o.message_id = ${idOf('delivered')}`,
    ),
    found: { S2: /^transactions\.incoming:0:999: has a record event, but was never consumed$/ },
  },
  {
    broken: 'a conflict with only one side',
    by: sql(
      `update message_events set related_message_id = 4711 where ${event('delivered', 'conflict_received')}`,
    ),
    found: {
      S2: /^record:transactions\.incoming:0:\d+ v1: the two sides of the conflict at .* do not name each other$/,
    },
  },
  {
    broken: 'a rejected record under another record’s id',
    by: sql(
      `update message_events set transaction_id = 'record:x:0:0' where reason = 'The value is not JSON.'`,
      `update inbox set transaction_id = 'record:x:0:0' where message_id =
        (select message_id from message_events where transaction_id = 'record:x:0:0')`,
      `update message_states set transaction_id = 'record:x:0:0' where message_id =
        (select message_id from message_events where transaction_id = 'record:x:0:0')`,
    ),
    found: {
      S2: /^record:x:0:0 v1: rejected of record:transactions.incoming:0:\d+ under another record’s id$/,
    },
  },
  {
    broken: 'an illegal transition',
    by: async () => {
      await allow(pool, 'success', 'replayed', 'pending')
      await append(pool, 'delivered', 0, {
        type: 'replayed',
        status: 'pending',
        actor: 'alice',
        reason: 'again',
      })
      await pool.query(`delete from legal_transitions where from_status = 'success' and type = 'replayed'`)
    },
    found: { S3: /^delivered v6: replayed leads from success to pending$/ },
  },
  ...[
    ['transaction_id', `'other'`],
    ['version', 'version + 1'],
    ['status', `'failed'`],
    ['retry_count', 'retry_count + 1'],
    ['attempts', 'attempts + 1'],
    ['due_at', 'recorded_at'],
    ['claimed_by', `'steady/fresh'`],
    ['error_message', `'other'`],
    ['outcome_unknown', 'not outcome_unknown'],
    ['is_slow', 'not is_slow'],
    ['reference', `'other'`],
    ['position', 'position + 1'],
    ['created_at', `created_at + interval '1 microsecond'`],
    ['updated_at', `updated_at - interval '1 microsecond'`],
    ['recorded_at', `recorded_at + interval '1 microsecond'`],
  ].map(([column, value]) => ({
    broken: `message_states.${column}`,
    by: sql(`update message_states set ${column} = ${value} where message_id = ${idOf('told to wait')}`),
    found: { S4: new RegExp(`^told to wait v5: message_states.${column} is .*, folding gives .*$`) },
  })),
  {
    broken: 'a message that is not projected',
    by: sql(`delete from message_states where message_id = ${idOf('refused')}`),
    found: { S4: /^refused v4: has no row in message_states$/ },
  },
  {
    broken: 'an event that the order of the log does not lead to',
    by: sql(
      `update event_positions set message_ids = array_remove(message_ids, ${idOf('delivered')})
        where position = (select position from message_events where ${event('delivered', 'succeeded')})`,
    ),
    found: { S4: /^delivered v3: is not in event_positions$/ },
  },
  {
    broken: 'a projected message that the log does not know',
    by: sql(`insert into message_states
      select (jsonb_populate_record(s, '{"message_id": 4711, "transaction_id": "stray"}')).*
      from message_states s where message_id = ${idOf('refused')}`),
    found: { S4: /^stray v4: is in message_states, but the log has no version 1$/ },
  },
  {
    broken: 'a count by status',
    by: sql(`insert into status_count_deltas values (9000000, 1, 0, 0, 0, 0)`),
    found: { S4: /^count of pending: is 3, folding gives 2$/ },
  },
  {
    broken: 'a retry count that the event does not owe to a retry',
    by: sql(`update message_events set retry_count = 1 where ${event('refused', 'attempt_started')}`),
    found: { S4: /^refused v2: retry_count is 1, folding gives 0$/ },
  },
  {
    broken: 'a due time after the end',
    by: sql(`update message_events set due_at = recorded_at where ${event('delivered', 'succeeded')}`),
    found: { S4: /^delivered v3: due_at is 20.*Z, folding gives null$/ },
  },
  {
    broken: 'a gap in the attempts',
    by: sql(
      `update message_events set attempt = 3 where message_id = ${idOf('told to wait')} and attempt = 2`,
      `update message_states set attempts = 3 where message_id = ${idOf('told to wait')}`,
    ),
    found: { S5: /^told to wait v4: attempt 3 starts after 1 attempts$/ },
  },
  {
    broken: 'a second attempt while one is open',
    by: async () => {
      await allow(pool, 'processing', 'attempt_started', 'processing')
      await append(pool, 'twin', 600_000, {
        type: 'attempt_started',
        status: 'processing',
        attempt: 1,
        actor: 'steady/fresh',
      })
      await append(pool, 'twin', 600_000, {
        type: 'attempt_started',
        status: 'processing',
        attempt: 2,
        actor: 'steady/fresh',
      })
    },
    found: { S5: /^twin v5: attempt 2 starts while 1 is open$/ },
  },
  {
    broken: 'an attempt that ends twice',
    by: async () => {
      await allow(pool, 'success', 'succeeded', 'success')
      await append(pool, 'delivered', null, {
        type: 'succeeded',
        attempt: 1,
        outcome: 'accepted',
        actor: 'steady/fresh',
      })
      await pool.query(`delete from legal_transitions where type = 'succeeded' and from_status = 'success'`)
    },
    found: {
      S3: /^delivered v6: succeeded leads from success to success$/,
      S5: /^delivered v6: succeeded of attempt 1, but no attempt is open$/,
      S7: /^delivered v6: succeeded after success$/,
    },
  },
  {
    broken: 'a dead letter in a transaction of its own',
    by: sql(
      `update message_events set position = position + 1 where ${event('refused', 'dead_lettered')}`,
      `update message_states set position = position + 1 where message_id = ${idOf('refused')}`,
      lead(event('refused', 'dead_lettered')),
    ),
    found: { S5: /^refused v4: dead_lettered in another transaction than the end of its attempt$/ },
  },
  {
    broken: 'a failure that neither retries nor gives up',
    by: sql(
      `delete from message_events where ${event('refused', 'dead_lettered')}`,
      `update message_states set version = 3, status = 'failed', queue = 'failed' where message_id = ${idOf('refused')}`,
      `insert into status_count_deltas values (9000000, 0, 0, 0, 1, -1)`,
    ),
    found: { S5: /^refused v3: attempt 1 has no retry, but no dead_lettered follows$/ },
  },
  {
    broken: 'an outcome by a lane that did not start the attempt',
    by: sql(`update message_events set actor = 'hasty/fresh' where ${event('delivered', 'succeeded')}`),
    found: { S6: /^delivered v3: succeeded by hasty\/fresh, but steady\/fresh started it$/ },
  },
  {
    broken: 'an outcome of an attempt that is not the open one',
    by: sql(`update message_events set attempt = 1 where ${event('told to wait', 'succeeded')}`),
    found: { S6: /^told to wait v5: succeeded of attempt 1, but attempt 2 is open$/ },
  },
  {
    broken: 'a success whose outcome is none',
    by: sql(`update message_events set outcome = 'refused' where ${event('delivered', 'succeeded')}`),
    found: { S6: /^delivered v3: succeeded with outcome refused$/ },
  },
  {
    broken: 'a late result by who never started the attempt',
    by: sql(
      `update message_events set actor = 'steady/fresh' where ${event('late failure', 'late_result_observed')}`,
    ),
    found: { S6: /^late failure v4: late result by steady\/fresh, but hasty\/fresh started attempt 1$/ },
  },
  {
    broken: 'a late failure that makes a dead letter a success',
    by: sql(
      `update message_events set outcome = 'refused' where ${event('late from the grave', 'late_result_observed')}`,
    ),
    found: {
      S4: /^late from the grave v7: status is success, folding gives dead_letter$/,
      S6: /^late from the grave v7: late refused changes dead_letter to success$/,
    },
  },
  {
    broken: 'an attempt after success',
    by: async () => {
      await allow(pool, 'success', 'attempt_started', 'processing')
      await append(pool, 'delivered', 600_000, {
        type: 'attempt_started',
        status: 'processing',
        attempt: 2,
        actor: 'steady/fresh',
      })
    },
    found: { S7: /^delivered v6: attempt_started after success$/ },
  },
  {
    broken: 'a replay of a rejected record',
    by: async () => {
      const { rows } = await pool.query<{ id: string }>(
        `select transaction_id as id from message_events where reason = 'The value is not JSON.'`,
      )
      await append(pool, rows[0]!.id, 0, {
        type: 'replayed',
        status: 'pending',
        actor: 'alice',
        reason: 'try',
      })
    },
    found: { S7: /^record:.* v2: a message that began as rejected is replayed$/ },
  },
  {
    broken: 'a start before the retry is due',
    by: sql(
      `update message_events set due_at = due_at + interval '1 day' where ${event('told to wait', 'attempt_failed')}`,
    ),
    found: { S9: /^told to wait v4: starts \d+ µs before it is due$/ },
  },
  {
    broken: 'a lease that is not the instance’s',
    by: sql(
      `update message_events set due_at = due_at + interval '2 ms' where ${event('refused', 'attempt_started')}`,
    ),
    found: { S9: /^refused v2: a lease of 600002 ms, but the instance has 600000 ms$/ },
  },
  {
    broken: 'a delay below the jitter',
    by: sql(
      `update message_events set due_at = recorded_at + interval '14 ms' where ${event('exhausted', 'attempt_failed')}`,
    ),
    found: { S9: /^exhausted v3: a delay of 14 ms; policy allows 16 to 60 ms$/ },
  },
  {
    broken: 'a delay that only Retry-After explains, for an outcome that has none',
    by: sql(
      `update message_events set outcome = 'not_sent' where ${event('told to wait', 'attempt_failed')}`,
    ),
    found: { S9: /^told to wait v3: a delay of 60 ms; policy allows 16 to 24 ms$/ },
  },
  {
    broken: 'a refused attempt that is retried',
    by: sql(`update message_events set outcome = 'refused' where ${event('told to wait', 'attempt_failed')}`),
    found: { S9: /^told to wait v3: a refused attempt is retried$/ },
  },
  {
    broken: 'an abandonment while the lease lasts',
    by: sql(
      `update message_events set due_at = due_at + interval '1 h' where ${event('abandoned', 'attempt_started', 3)}`,
    ),
    found: { S9: /^abandoned v7: abandoned \d+ µs before its lease ends$/ },
  },
  {
    broken: 'a wait after a first abandonment',
    by: sql(
      `update message_events set due_at = recorded_at + interval '1 ms' where ${event('abandoned', 'attempt_abandoned')}`,
    ),
    found: { S9: /^abandoned v3: due 1 ms after a first abandonment, but should be due at once$/ },
  },
  {
    broken: 'no wait after the second abandonment in a row',
    by: sql(
      `update message_events set due_at = recorded_at where ${event('abandoned', 'attempt_abandoned', 2)}`,
    ),
    found: { S9: /^abandoned v5: a delay of 0 ms; policy allows 32 to 48 ms$/ },
  },
  {
    broken: 'a minute’s count that is wrong',
    by: sql(
      `update status_count_deltas set counts = array(
         select u.n + 5 * (u.measure = 'received')::int
         from unnest(measures, counts) with ordinality as u(measure, n, place) order by u.place)
       where 'received' = any (measures)`,
    ),
    rollups: 'broken',
    found: { S4: /^rollup of received: bucket 0 at .+:00\.000Z is \d+, folding gives \d+$/ },
  },
  {
    broken: 'a duration in the wrong bucket',
    by: sql(
      `update status_count_deltas set buckets = array(
         select u.bucket + (u.measure = 'attempt')::int
         from unnest(measures, buckets) with ordinality as u(measure, bucket, place) order by u.place)
       where 'attempt' = any (measures)`,
    ),
    rollups: 'broken',
    found: { S4: /^rollup of attempt: bucket \d+ at .+ is \d+, folding gives \d+$/ },
  },
  {
    broken: 'a longest duration that nothing took',
    by: sql(`select fold_piece()`, `update rollups set n = n + 1 where measure = 'end_to_end_max'`),
    rollups: 'broken',
    found: { S4: /^rollup of end_to_end_max: bucket 0 at .+ is \d+, folding gives \d+$/ },
  },
  {
    broken: 'a minute’s count that is lost',
    by: sql(`select fold_piece()`, `delete from rollups where measure = 'attempts'`),
    rollups: 'broken',
    found: { S4: /^rollup of attempts: bucket 0 at .+ is \d+, folding gives \d+$/ },
  },
  {
    broken: 'a count of a day that has aged',
    by: aged(`update rollups set n = n + 1 where measure = 'received' and minute > '-infinity'`),
    rollups: 'broken',
    found: { S4: /^rollup of received: bucket 0 at .+T00:00:00\.000Z is \d+, folding gives \d+$/ },
  },
  {
    broken: 'a longest duration of a day that has aged',
    by: aged(`update rollups set n = n - 1 where measure = 'attempt_max'`),
    rollups: 'broken',
    found: { S4: /^rollup of attempt_max: bucket 0 at .+T00:00:00\.000Z is \d+, folding gives \d+$/ },
  },
  {
    broken: 'a failure that is missing in a day that has aged',
    by: aged(`update failure_rollups set n = n - 1 where pattern = 'HTTP 422'`),
    rollups: 'broken',
    found: { S4: /^failures of .+: HTTP 422: is \(.+\), folding gives \(.+\)$/ },
  },
  {
    broken: 'a minute that stayed where hours are kept',
    by: aged(
      `insert into rollups values (date_trunc('hour', now()) + interval '7 minutes', 'received', 0, 1)`,
    ),
    rollups: 'broken',
    found: { S4: /^rollup of received: bucket 0 at .+:07:00\.000Z is 1, folding gives 0$/ },
  },
  {
    broken: 'minutes that are said to be hours, and are not',
    by: sql(
      `select fold_piece()`,
      `update rollup_bounds set hours_below = 'infinity', days_below = 'infinity'`,
    ),
    rollups: 'broken',
    found: { S4: /^rollup of \w+: bucket \d+ at .+ is \d+, folding gives \d+$/ },
  },
  {
    broken: 'a wrong number of messages without a retry',
    by: sql(`insert into rollups values ('-infinity', 'retries', 0, -1)`),
    rollups: 'broken',
    found: { S4: /^rollup of retries: bucket 0 at now is \d+, folding gives \d+$/ },
  },
  {
    broken: 'a failure that is counted twice',
    by: sql(`insert into failure_deltas select * from failure_deltas where pattern = 'HTTP 422'`),
    rollups: 'broken',
    found: { S4: /^failures of .+: HTTP 422: is \(.+\), folding gives \(.+\)$/ },
  },
  {
    broken: 'a failure with another message’s id',
    by: sql(`update failure_deltas set examples = array[4711] where pattern = 'HTTP 422'`),
    rollups: 'broken',
    found: { S4: /^failures of .+: HTTP 422: is \(.+\{4711.*\}.*\), folding gives \(.+\)$/ },
  },
  {
    broken: 'a partition whose advances are folded wrongly',
    by: sql(`select fold_piece()`, `update partition_folds set received = received + 1`),
    rollups: 'broken',
    found: { S4: /^fold of partition \d+: is \(.+\), folding gives \(.+\)$/ },
  },
  {
    broken: 'more retries than the instance’s maximum',
    by: sql(`update instances set retries_max = 1`),
    found: { S9: /^exhausted v5: retried after 1 of at most 1 retries$/ },
  },
  {
    broken: 'fewer retries than the instance’s maximum',
    by: sql(`update instances set retries_max = 3`),
    found: { S9: /^abandoned v7: given up after 2 of at most 3 retries$/ },
  },
  {
    broken: 'a hole that is not recorded',
    by: sql(`delete from partition_holes`),
    found: { S12: /^transactions\.incoming:0: offsets 4 to 7: says 2 in holes, but 0 are recorded$/ },
  },
  {
    broken: 'a hole over an event',
    by: sql(`update partition_holes set next_offset = next_offset + 1`),
    found: { S12: /^transactions\.incoming:0: 1 offsets in the hole from 4 to 7 have events$/ },
  },
  {
    broken: 'two holes over one offset',
    by: sql(`insert into partition_holes select partition_id, 5, 6, now(), actor from partition_holes`),
    found: { S12: /^transactions\.incoming:0: the hole from 5 to 6 begins before 6$/ },
  },
  {
    broken: 'a gap between two advances',
    by: sql(`delete from partition_advances where first_offset = 4 and holes = 2`),
    found: {
      S12: /^transactions\.incoming:0: an advance begins at 8, but the one before ends at 4$/,
    },
  },
  {
    broken: 'an advance that counts more than was received',
    by: sql(`update partition_advances set received = received + 1 where holes = 2`),
    found: { S12: /^transactions\.incoming:0: offsets 4 to 7: says 3 received, but the log has 2$/ },
  },
  {
    broken: 'bytes that were changed',
    by: sql(
      `update records set payload = overlay(payload placing '?' from 1) where message_id = ${idOf('refused')}`,
    ),
    found: { S13: /^refused v1: the bytes kept do not have the hash in the event$/ },
  },
  {
    broken: 'a size that is not that of the bytes',
    by: sql(`update records set payload_bytes = 1 where message_id = ${idOf('refused')}`),
    found: { S13: /^refused v1: \d+ of 1 bytes are kept$/ },
  },
  {
    broken: 'bytes that are gone',
    by: sql(`delete from records where message_id = ${idOf('refused')}`),
    found: { S13: /^refused v1: nothing of its record is kept$/ },
  },
  {
    broken: 'bytes that are expunged without an event',
    by: sql(
      `update records set payload = null, payload_state = 'expunged' where message_id = ${idOf('refused')}`,
    ),
    found: { S13: /^refused v1: is expunged, but no event says so$/ },
  },
  {
    broken: 'bytes that are kept although they were expunged',
    by: () => append(pool, 'refused', null, { type: 'expunged', actor: 'alice', reason: 'asked' }),
    found: { S13: /^refused v1: was expunged at version 5, but its record is kept$/ },
  },
  {
    broken: 'a key that was put back',
    by: sql(`update records set key = 'customer 7' where message_id = ${idOf('forgotten')} and version = 3`),
    found: { S13: /^forgotten v3: is expunged, but something of it is kept$/ },
  },
  {
    broken: 'a size that was lost with the bytes',
    by: sql(`update records set payload_bytes = 0 where message_id = ${idOf('forgotten')} and version = 3`),
    found: { S13: /^forgotten v3: a duplicate differs from the bytes received first$/ },
  },
  {
    broken: 'a message that is expunged twice',
    by: () => append(pool, 'forgotten letter', null, { type: 'expunged', actor: 'alice', reason: 'again' }),
    found: { S7: /^forgotten letter v6: expunged after it was expunged at version 5$/ },
  },
  {
    broken: 'a replay of what was expunged',
    by: () =>
      append(pool, 'forgotten letter', 0, {
        type: 'replayed',
        status: 'pending',
        actor: 'alice',
        reason: 'x',
      }),
    found: { S7: /^forgotten letter v6: replayed after it was expunged at version 5$/ },
  },
  {
    broken: 'bytes that were expunged without a reason',
    by: sql(`update message_events set reason = null where ${event('forgotten letter', 'expunged')}`),
    found: { S14: /^forgotten letter v5: expunged without a reason$/ },
  },
  {
    broken: 'a duplicate of other bytes',
    by: sql(
      `update message_events set payload_sha256 = sha256('other') where ${event('delivered', 'duplicate_received')}`,
    ),
    found: { S13: /^delivered v4: a duplicate differs from the bytes received first$/ },
  },
  {
    broken: 'bytes beside no event',
    by: sql(`update records set version = 9 where message_id = ${idOf('delivered')} and version = 4`),
    found: { S13: /^message \d+ v9: bytes are kept, but there is no event for them$/ },
  },
  {
    broken: 'an event without an actor',
    by: sql(`update message_events set actor = ' ' where ${event('refused', 'received')}`),
    found: { S14: /^refused v1: received has no actor$/ },
  },
  {
    broken: 'an event by nobody who is registered',
    by: sql(`update message_events set actor = 'ghost/ingest' where ${event('refused', 'received')}`),
    found: { S14: /^refused v1: ghost\/ingest is of no registered instance$/ },
  },
  {
    broken: 'a replay without a reason',
    by: sql(`update message_events set reason = null where ${event('replayed', 'replayed')}`),
    found: { S14: /^replayed v5: replayed without a reason$/ },
  },
  {
    broken: 'an operator’s decision without a reason',
    by: sql(`insert into partition_decisions values (1, 1, 'stopped', 0, null, now(), 'alice', ' ')`),
    found: { S14: /^transactions\.incoming:\d: stopped without an actor or a reason$/ },
  },
  {
    broken: 'a time that goes back',
    by: sql(
      `update message_events set recorded_at = recorded_at - interval '1 day' where ${event('delivered', 'conflict_received')}`,
      `update message_states set recorded_at = recorded_at - interval '1 day' where message_id = ${idOf('delivered')}`,
    ),
    found: { S16: /^delivered v5: recorded \d+ µs before version 4$/ },
  },
  {
    broken: 'a position that goes back',
    by: sql(
      `update message_events set position = 1 where ${event('delivered', 'conflict_received')}`,
      `update message_states set position = 1 where message_id = ${idOf('delivered')}`,
      lead(event('delivered', 'conflict_received')),
    ),
    found: { S16: /^delivered v5: position 1 after \d+$/ },
  },
  {
    broken: 'a lane with more open attempts than it may hold',
    by: sql(`update instances set fresh_max = 2 where instance = 'hasty'`),
    found: {
      S17: /^late from the grave v2: hasty\/fresh has 3 attempts open at position \d+; it may hold 2$/,
    },
  },
  {
    broken: 'a retry lane that takes fresh work',
    by: sql(
      `update message_events set actor = 'steady/retry' where message_id = ${idOf('delivered')} and attempt = 1`,
    ),
    found: { S17: /^delivered v2: steady\/retry starts what is pending$/ },
  },
]

for (const { broken, by, found, rollups } of cases) {
  t.test(`${broken}: told as ${Object.keys(found).join(', ')} and as nothing else`, async (t) => {
    t.teardown(mend)
    await by()
    if (rollups !== 'broken')
      await pool.query('select rebuild_rollups(), rebuild_failures(), rebuild_partitions()')
    const lines = differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null }))
    t.same(Object.keys(lines), Object.keys(found), JSON.stringify(lines))
    for (const [id, line] of Object.entries(found))
      t.ok(
        lines[id]?.some((each) => line.test(each)),
        `${id}: ${String(line)} in ${lines[id]?.join('; ')}`,
      )
  })
}

async function hashOf(transactionId: string): Promise<string> {
  const { rows } = await pool.query<{ hash: string }>(
    'select payload_sha256::text as hash from message_events where transaction_id = $1',
    [transactionId],
  )
  return rows[0]!.hash
}
