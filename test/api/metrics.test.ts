import t from 'tap'
import { database } from '../support/database.ts'
import type { Health } from '../../src/api/health.ts'
import { makeSegments } from '../../src/log/server/make-segments.ts'
import { settle } from '../../src/log/write/settle.ts'
import { makeSmallSegments } from '../support/segments.ts'
import { until } from '../support/until.ts'
import { pauseDestination, resumeDestination } from '../../src/log/write/steer-destination.ts'
import { hold } from './destination.ts'
import { connectThroughProxy, startService, store, storeDeadLetters, well } from './service.ts'

t.test('the six integers count each message once, and total is their sum', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const none = { pending: 0, processing: 0, success: 0, failed: 0, dead_letter: 0, total: 0 }
  t.strictSame((await call('GET', '/metrics')).json, none)
  await store(pool, ['a', 'b', 'c'], { room: 1 })
  await storeDeadLetters(pool, ['d'])
  await store(pool, ['a', 'b'])
  await store(pool, ['record:transactions.incoming:0:6'], { rejection: 'not JSON' })
  const counted = { ...none, pending: 2, processing: 1, dead_letter: 2, total: 5 }
  const reply = await call('GET', '/metrics')
  t.strictSame(reply.json, counted)
  t.strictSame(
    Object.keys(reply.json as object),
    Object.keys(none),
    'in the order the founding document shows',
  )
})

t.test('Prometheus text is served only to whoever names it', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
  for (const accept of [
    '*/*',
    browser,
    'text/*',
    'application/json, text/plain, */*',
    'text/plain;q=0',
    '',
  ]) {
    t.equal(
      (await call('GET', '/metrics', { headers: { accept } })).headers['content-type'],
      'application/json',
    )
  }
  const prometheus =
    'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1'
  for (const accept of [
    'text/plain',
    'application/openmetrics-text',
    'TEXT/Plain; charset=utf-8',
    prometheus,
  ]) {
    const type = (await call('GET', '/metrics', { headers: { accept } })).headers['content-type']
    t.match(type, /^text\/plain; version=0\.0\.4/, accept)
  }
})

t.test('a scrape tells the counts, the pulse and the state of the parts at that moment', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const scrape = async () => (await call('GET', '/metrics', { headers: { accept: 'text/plain' } })).text
  await store(pool, ['a', 'b'], { room: 1 })
  const text = await scrape()
  for (const line of [
    'tqp_messages{status="pending"} 1',
    'tqp_messages{status="processing"} 1',
    'tqp_messages{status="dead_letter"} 0',
    'tqp_in_flight{lane="fresh"} 3',
    'tqp_in_flight{lane="retry"} 0',
    'tqp_claimed_ahead{lane="fresh"} 2',
    'tqp_listener_up 1',
    'tqp_listener_age_seconds 1.5',
    'tqp_consumer_up 1',
    'tqp_waiting_partitions 0',
    'tqp_database_up 1',
    'tqp_stopped_partitions 0',
    'tqp_open_dead_letters 0',
    'tqp_open_dead_letters_by_cause{cause="rejected_record"} 0',
    'tqp_resolved_dead_letters 0',
    'tqp_messages_on_hold 0',
    'tqp_build_info{release="1.2.3"',
    'tqp_missed_wakeups_total 0',
  ]) {
    t.match(text, line)
  }
  t.match(text, /^tqp_oldest_due_age_seconds (0\.\d*[1-9]|[1-9])/m, 'b has been due since it was stored')
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1])
  t.strictSame(names, [...new Set(names)], 'no metric is told twice')
})

t.test('dead letters are told open and resolved apart, beside those of the founding figures', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await storeDeadLetters(pool, ['a', 'b', 'c'])
  await store(pool, ['d'])
  const decide = (id: string, kind: string, resolution: string | null) =>
    pool.query('select decide_message($1, $2, $3, $4, $5)', [id, kind, 'alice', 'why', resolution])
  await decide('a', 'resolve', 'ignored')
  await decide('b', 'resolve', 'carried_out')
  await decide('d', 'hold', null)
  const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
  for (const line of [
    'tqp_open_dead_letters 1',
    'tqp_open_dead_letters_by_cause{cause="refused"} 1',
    'tqp_resolved_dead_letters 2',
    'tqp_messages_on_hold 1',
    'tqp_messages{status="dead_letter"} 3',
  ])
    t.match(text, `\n${line}\n`)
  t.match((await call('GET', '/status')).json, { dead_letters: { open: 1, resolved: 2 }, on_hold: 1 })
  t.strictSame((await call('GET', '/metrics')).json, {
    pending: 1,
    processing: 0,
    success: 0,
    failed: 0,
    dead_letter: 3,
    total: 4,
  })
})

t.test('every series whose labels are known is there at 0 before anything happened', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
  for (const lane of ['fresh', 'retry']) {
    for (const outcome of ['accepted', 'refused', 'unavailable', 'not_sent', 'unknown', 'abandoned'])
      t.match(text, `tqp_attempts_total{lane="${lane}",outcome="${outcome}"} 0\n`)
    for (const cause of ['start', 'notify', 'timer', 'slot', 'sweep', 'reconnect', 'destination'])
      t.match(text, `tqp_wakeups_total{lane="${lane}",cause="${cause}"} 0\n`)
    t.match(text, `tqp_attempt_duration_seconds_count{lane="${lane}"} 0\n`)
  }
  t.match(text, '\ntqp_missed_wakeups_total 0\n')
  t.notMatch(text, /^missed_wakeups_total/m, 'it is named like its siblings')
})

t.test('the watermark is as old as the oldest writing transaction that is open', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const writer = await pool.connect()
  t.teardown(() => writer.release())
  await writer.query('begin')
  await writer.query('select pg_current_xact_id()')
  const { rows } = await writer.query<{ age: number }>(
    'select extract(epoch from clock_timestamp() - now())::float8 as age',
  )
  const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
  const told = Number(/^tqp_watermark_age_seconds (\S+)/m.exec(text)?.[1])
  t.ok(told >= rows[0]!.age, `told ${told} s, was ${rows[0]!.age} s before`)
  await writer.query('commit')
})

t.test(
  'without a database the scrape still tells what the process counts, and no stale figure',
  async (t) => {
    const { url } = await database(t)
    const { pool, proxy } = await connectThroughProxy(t, url)
    const { call, metrics } = await startService(t, pool)
    const scrape = () => call('GET', '/metrics', { headers: { accept: 'text/plain' } })
    t.match((await scrape()).text, 'tqp_messages')
    await proxy.refuse(true)
    proxy.cut()
    metrics.attempts.inc({ lane: 'fresh', outcome: 'accepted' })
    const { status, text } = await scrape()
    t.equal(status, 200)
    t.match(text, 'tqp_attempts_total{lane="fresh",outcome="accepted"} 1')
    t.match(text, 'tqp_database_up 0')
    t.notMatch(text, 'tqp_messages')
    t.match(await call('GET', '/metrics'), { status: 503, json: { detail: /^The database does not answer/ } })
  },
)

t.test('a scrape tells the state of the destination, and how many messages it holds up', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const scrape = async (): Promise<string[]> => {
    const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
    return text.split('\n').filter((line) => /^tqp_(destination|held|probes)/.test(line))
  }
  const linesOf = (state: string, held: number): string[] => [
    ...['answered', 'failed'].map((result) => `tqp_probes_total{result="${result}"} 0`),
    ...['flowing', 'held', 'paused', 'ramping'].map(
      (each) => `tqp_destination_state{destination="default",state="${each}"} ${each === state ? 1 : 0}`,
    ),
    `tqp_held_messages ${held}`,
  ]
  await store(pool, ['waits'])
  t.strictSame(await scrape(), linesOf('flowing', 0))
  await hold(pool, ['failed-1', 'failed-2'])
  t.strictSame(await scrape(), linesOf('held', 3))
  await pauseDestination(pool, 'default', { actor: 'bob', reason: 'x' }, null)
  t.strictSame(await scrape(), linesOf('paused', 3))
  await resumeDestination(pool, 'default', { actor: 'bob', reason: 'x' })
  t.strictSame(await scrape(), linesOf('ramping', 3))
})

t.test(
  'a scrape tells how large the log is and how old, with partitions under the name of their table',
  async (t) => {
    const { pool } = await database(t)
    await makeSmallSegments(pool, 1_000)
    await store(pool, ['a', 'b'])
    await pool.query(`select setval('message_ids', 1500)`)
    await makeSegments(pool, 1_000)
    await store(pool, ['c'])
    const { rows } = await pool.query<{ bytes: string; inbox: string }>(
      `select sum(pg_total_relation_size(relid)) as bytes, pg_total_relation_size('inbox') as inbox
     from pg_partition_tree('message_events') where isleaf`,
    )
    let health: Health = { ...well, logRetention: { lastRunAt: null, waitsFor: null } }
    const { call } = await startService(t, pool, () => health)
    const scrape = async () => (await call('GET', '/metrics', { headers: { accept: 'text/plain' } })).text
    const text = await scrape()
    for (const line of [
      `tqp_table_bytes{table="message_events"} ${rows[0]!.bytes}`,
      `tqp_table_bytes{table="inbox"} ${rows[0]!.inbox}`,
      'tqp_segments 2',
      'tqp_last_archive_timestamp_seconds 0',
      'tqp_retention_waits 0',
    ])
      t.ok(text.includes(`\n${line}\n`), line)
    t.notMatch(text, /_s\d+"/)
    const age = Number(/^tqp_oldest_segment_age_seconds (\S+)$/m.exec(text)?.[1])
    t.ok(age > 0 && age < 3_600, `${age}`)

    health = { ...well, logRetention: { lastRunAt: new Date(0), waitsFor: 'segment 1: stays.' } }
    await pool.query('create table mine (id int)')
    const again = await scrape()
    t.match(again, /^tqp_retention_waits 1$/m)
    t.notMatch(again, /mine/, 'it is not read again for each scrape')
    t.match((await call('GET', '/status')).json, {
      status: 'healthy',
      log_retention: { last_run_at: '1970-01-01T00:00:00.000000Z', waits_for: 'segment 1: stays.' },
    })
  },
)

t.test('a scrape tells since when a partition is stopped, for as long as it is', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const scrape = async () => (await call('GET', '/metrics', { headers: { accept: 'text/plain' } })).text
  t.notMatch(await scrape(), /^tqp_partition_stopped_timestamp_seconds\{/m)
  await store(pool, ['a'])
  await pool.query(
    `select stop_partition('transactions.incoming', 0, 1, 1, null, 'out of range', 'instance-1')`,
  )
  const { rows } = await pool.query<{ at: string }>(
    `select (floor(extract(epoch from since) * 1000) / 1000)::float8::text as at from stopped_partitions`,
  )
  const series = 'tqp_partition_stopped_timestamp_seconds{topic="transactions.incoming",partition="0"}'
  t.ok((await scrape()).includes(`\n${series} ${rows[0]!.at}\n`), rows[0]!.at)
  await pool.query(
    `select * from decide_partition('transactions.incoming', 0, 'resumed', null, null, 'alice', 'it is there')`,
  )
  t.notMatch(await scrape(), /^tqp_partition_stopped_timestamp_seconds\{/m)
})

t.test('a scrape tells how many messages are in doubt, by what they are now', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const scrape = async () => {
    const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
    return Object.fromEntries(
      [...text.matchAll(/^tqp_unknown_outcomes\{state="(\w+)"\} (\d+)$/gm)].map(([, state, n]) => [state, n]),
    ) as Record<string, string>
  }
  t.strictSame(await scrape(), { open: '0', success: '0', dead_letter: '0' })
  const [first, second] = await store(pool, ['a', 'b', 'c'], { room: 3 })
  const timeout = {
    outcome: { kind: 'unknown', statusCode: null, reason: 'timeout' },
    verdict: 'failure',
    durationMs: 1,
  } as const
  await settle(pool, 'instance-1/fresh', [
    { ...first!, ...timeout, decision: { then: 'retry', delayMs: 60_000 } },
    { ...second!, ...timeout, decision: { then: 'dead_letter', sparedDelayMs: null } },
  ])
  t.strictSame(await scrape(), { open: '1', success: '0', dead_letter: '1' })
})

t.test("a scrape tells how far the database's clock is off, and when certificates end", async (t) => {
  const { pool } = await database(t)
  const at = new Date('2027-01-02T03:04:05Z')
  const certificates = () => [{ side: 'kafka', file: 'cert', at }]
  const { call } = await startService(t, pool, undefined, undefined, { certificates })
  const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
  const offset = Number(/^tqp_database_clock_offset_seconds (\S+)$/m.exec(text)?.[1])
  t.ok(Math.abs(offset) < 60, `${offset} s: both are on this machine`)
  t.match(
    text,
    `tqp_certificate_expiry_timestamp_seconds{side="kafka",file="cert"} ${at.getTime() / 1_000}\n`,
  )
})

t.test('the open subscriptions of this instance are counted, until they end', async (t) => {
  const { pool } = await database(t)
  const { call, port } = await startService(t, pool)
  const scrape = async () => {
    const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
    return /^tqp_subscriptions (\d+)$/m.exec(text)?.[1]
  }
  t.equal(await scrape(), '0')
  const leaving = new AbortController()
  const subscription = { query: 'subscription { messageEvents(positionsEverySeconds: 60) { cursor } }' }
  await fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify(subscription),
    signal: leaving.signal,
  })
  await until('it to be counted', async () => (await scrape()) === '1')
  leaving.abort()
  await until('it to be counted no more', async () => (await scrape()) === '0')
})
