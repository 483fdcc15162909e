import t from 'tap'
import { database } from '../support/database.ts'
import { connectThroughProxy, startService, store, storeDeadLetters } from './service.ts'

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
    'tqp_listener_up 1',
    'tqp_listener_age_seconds 1.5',
    'tqp_consumer_up 1',
    'tqp_waiting_partitions 0',
    'tqp_database_up 1',
    'tqp_stopped_partitions 0',
    'tqp_build_info{release="1.2.3"',
    'tqp_missed_wakeups_total 0',
  ]) {
    t.match(text, line)
  }
  t.match(text, /^tqp_oldest_due_age_seconds (0\.\d*[1-9]|[1-9])/m, 'b has been due since it was stored')
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1])
  t.strictSame(names, [...new Set(names)], 'no metric is told twice')
})

t.test('every series whose labels are known is there at 0 before anything happened', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
  for (const lane of ['fresh', 'retry']) {
    for (const outcome of ['accepted', 'refused', 'unavailable', 'not_sent', 'unknown', 'abandoned'])
      t.match(text, `tqp_attempts_total{lane="${lane}",outcome="${outcome}"} 0\n`)
    for (const cause of ['start', 'notify', 'timer', 'slot', 'sweep', 'reconnect'])
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
