import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { notify } from '../../src/log/write/notify.ts'
import type { Listener } from '../../src/wake/listen.ts'
import { database } from '../support/database.ts'
import { findFreePort } from '../support/free-port.ts'
import { ensureTestPostgres } from '../support/postgres.ts'
import { startProxy } from '../support/proxy.ts'
import { startListenRelay } from './listen-relay.ts'
import { addressOf, startListener, throughPort, until, type Watched } from './start-listener.ts'

async function proxied(t: Test) {
  const { url, pool } = await database(t, { empty: true })
  const proxy = await startProxy(t, addressOf(url))
  return { pool, proxy, url: throughPort(url, proxy.port) }
}

/** Notifies until it is heard: a notification sent while the listener was down is lost by design. */
async function hears(pool: pg.Pool, { notified }: Watched): Promise<void> {
  const before = notified.length
  await pool.query('notify message_due')
  await until(() => notified.length > before)
}

t.test('a notification is passed on with its channel, and its payload may be anything', async (t) => {
  const { url, pool } = await database(t, { empty: true })
  const { listener, notified, ups } = startListener(t, url)
  await until(() => listener.up)
  await pool.query(`notify message_events, '{"not": json'`)
  await pool.query('notify message_due')
  await pool.query('notify another_channel')
  await pool.query('notify message_due')
  await until(() => notified.length >= 3)
  t.same(
    notified,
    ['message_events', 'message_due', 'message_due'],
    'heartbeats and strangers are not passed on',
  )
  t.same(ups, [false], 'the first session is no reconnect')
})

t.test('when onUp is called, what is committed from then on is heard', async (t) => {
  const { url, pool } = await database(t, { empty: true })
  const committed: Promise<unknown>[] = []
  const { notified } = startListener(t, url, { onUp: () => committed.push(pool.query('notify message_due')) })
  await until(() => notified.length === 1)
  await Promise.all(committed)
})

t.test('each instance hears that the others live, and nothing of itself', async (t) => {
  const { url } = await database(t, { empty: true })
  const heard: Record<string, Set<string>> = { one: new Set(), other: new Set() }
  for (const instance of Object.keys(heard))
    startListener(t, url, { instance, onAlive: (alive) => heard[instance]!.add(alive) })
  await until(() => Object.values(heard).every((names) => names.size > 0))
  t.same([...heard.one!], ['other'])
  t.same([...heard.other!], ['one'])
})

t.test('it is up only while it hears what is notified where work is written', async (t) => {
  const [here, elsewhere] = await Promise.all([database(t, { empty: true }), database(t, { empty: true })])
  let writer = elsewhere.pool
  const { listener, downs } = startListener(t, here.url, {
    notifyAsWriter: (channel, payload) => notify(writer, channel, payload),
    timeoutMs: 1_000,
  })
  await until(() => listener.lastError() !== null)
  t.match(listener.lastError(), /^what is notified through DATABASE_URL is not heard: LISTEN_DATABASE_URL/)
  t.strictSame([listener.up, downs], [false, []], 'it never was up')
  writer = here.pool
  await until(() => listener.up)

  // As when a name leads to the promoted server, and this session to the former one.
  writer = elsewhere.pool
  await until(() => downs.length > 0)
  t.match(downs[0], /is not heard/)
  writer = here.pool
  await until(() => listener.up)
})

t.test('where nothing can be written nothing is proven, and it stays up', async (t) => {
  const { url, pool } = await database(t, { empty: true })
  let tries = 0
  const { listener, notified, downs } = startListener(t, url, {
    notifyAsWriter: () => {
      tries++
      return Promise.reject(new Error('the pool is used up'))
    },
  })
  await until(() => tries > 3)
  t.ok(listener.up)
  await pool.query('notify message_due')
  await until(() => notified.length === 1)
  t.same(downs, [])
})

t.test('each notification of a burst is passed on', async (t) => {
  const { url, pool } = await database(t, { empty: true })
  const { listener, notified, downs } = startListener(t, url)
  await until(() => listener.up)
  await pool.query(`select pg_notify('message_events', i::text) from generate_series(1, 50000) i`)
  await until(() => notified.length === 50_000)
  t.same(downs, [])
})

t.test('its state tells how long it has been up, when it last heard, and why it is down', async (t) => {
  const { proxy, url } = await proxied(t)
  await proxy.refuse(true)
  const { listener } = startListener(t, url)
  t.equal(listener.ageMs(), null, 'it has never heard anything')
  t.equal(listener.upSince, null)
  await until(() => listener.lastError() !== null)
  t.match(listener.lastError(), /ECONNREFUSED/)
  await proxy.refuse(false)
  await until(() => listener.up)
  t.equal(listener.lastError(), null)
  const since = listener.upSince!
  t.ok(since > 0 && since <= performance.now())
  const age = listener.ageMs()!
  await until(() => listener.ageMs()! < age)
  t.pass('a heartbeat makes it younger')
  t.equal(listener.upSince, since, 'a heartbeat is no break')
})

t.test('when only the LISTEN session is terminated, a new one takes its place and hears', async (t) => {
  const { url, pool } = await database(t, { empty: true })
  const watched = startListener(t, url)
  await until(() => watched.listener.up)
  const { rowCount } = await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'transaction-queue-proxy listen test' and datname = current_database()`,
  )
  t.equal(rowCount, 1, 'the listener holds one session, and its name can be found')
  await until(() => watched.ups.length === 2)
  t.same(watched.ups, [false, true])
  t.equal(watched.downs.length, 1)
  await hears(pool, watched)
})

t.test('a reset connection is replaced, again and again', async (t) => {
  const { pool, proxy, url } = await proxied(t)
  const watched = startListener(t, url)
  for (let cuts = 0; cuts < 5; cuts++) {
    await until(() => watched.ups.length === cuts + 1 && watched.listener.up)
    proxy.cut()
  }
  await until(() => watched.ups.length === 6)
  t.same(watched.ups, [false, true, true, true, true, true])
  await hears(pool, watched)
})

t.test('an outage longer than the 3 s after which pg-listen gives up is survived', async (t) => {
  const { pool, proxy, url } = await proxied(t)
  const watched = startListener(t, url)
  await until(() => watched.listener.up)
  await proxy.refuse(true)
  proxy.cut()
  await until(() => !watched.listener.up)
  // The length of the outage is the subject here; nothing is waited for.
  await sleep(3_500)
  t.equal(watched.listener.up, false)
  await proxy.refuse(false)
  await until(() => watched.listener.up)
  t.equal(watched.downs.length, 1, 'onDown is called once an outage, not once a try')
  await hears(pool, watched)
})

t.test('a half-open connection is noticed by its heartbeat and replaced', async (t) => {
  const { pool, proxy, url } = await proxied(t)
  const watched = startListener(t, url, { timeoutMs: 300 })
  await until(() => watched.listener.up)
  proxy.blackhole(true)
  await until(() => watched.downs.includes('heartbeat took longer than 300 ms'))
  // Nor does a connect into nothing last for ever.
  await until(() => watched.reasons.includes('connecting took longer than 300 ms'))
  t.equal(watched.listener.up, false)
  proxy.blackhole(false)
  await until(() => watched.listener.up)
  await hears(pool, watched)
})

t.test('a session that answers but cannot hear itself is not up', async (t) => {
  const { url, pool } = await database(t, { empty: true })
  const relay = await startListenRelay(t, addressOf(url))
  relay.letListen('divert')
  const watched = startListener(t, throughPort(url, relay.port), { timeoutMs: 300 })
  await until(() => watched.reasons.includes('heartbeat took longer than 300 ms'))
  t.same(watched.ups, [])
  relay.letListen('pass')
  await until(() => watched.listener.up)
  await hears(pool, watched)
})

t.test('a LISTEN that fails on the new session opens another one, and never counts as up', async (t) => {
  const { url, pool } = await database(t, { empty: true })
  const relay = await startListenRelay(t, addressOf(url))
  const watched = startListener(t, throughPort(url, relay.port))
  await until(() => watched.listener.up)
  relay.letListen('refuse')
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name like '%listen test' and datname = current_database()`,
  )
  await until(() => relay.withheld() >= 3)
  t.same(watched.ups, [false])
  t.equal(watched.listener.lastError(), 'out of memory')
  relay.letListen('pass')
  await until(() => watched.ups.length === 2)
  await hears(pool, watched)
})

t.test('a server that is not there at the start is tried until it is', async (t) => {
  const { pool, proxy, url } = await proxied(t)
  await proxy.refuse(true)
  const watched = startListener(t, url)
  await until(() => watched.reasons.length >= 5)
  t.equal(watched.listener.up, false)
  t.same(watched.downs, [], 'what was never up does not go down')
  await proxy.refuse(false)
  await until(() => watched.listener.up)
  t.same(watched.ups, [false], 'the first session is no reconnect, however late it comes')
  await hears(pool, watched)
})

t.test('a refused login is reported in the words of the server and tried again', async (t) => {
  const { url } = await database(t, { empty: true })
  const { reasons } = startListener(t, `${url}_missing`)
  await until(() => reasons.length >= 2)
  t.match(reasons[1], /database ".*_missing" does not exist/)
})

t.test('a process that was blocked during a heartbeat finds the answer and keeps its session', async (t) => {
  const { url } = await database(t, { empty: true })
  const { listener, downs } = startListener(t, url, { heartbeatMs: 1, timeoutMs: 1_000 })
  await until(() => listener.up)
  for (let rounds = 0; rounds < 3; rounds++) {
    await heartbeatEnds(listener)
    // The session's own wait of 1 ms was armed before this one, so the next heartbeat is under way when this resolves.
    await sleep(1)
    // From here the event loop comes to its timers, and so to the deadline, before it reads from its sockets.
    await turn()
    block(1_100)
  }
  await heartbeatEnds(listener)
  t.same(downs, [])
})

async function heartbeatEnds(listener: Listener): Promise<void> {
  let age = listener.ageMs()!
  for (;;) {
    await turn()
    const now = listener.ageMs()!
    if (now < age) return
    age = now
  }
}

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

t.test('stop', async (t) => {
  // Counted in the whole process, so nothing else may run in it meanwhile: no pool, no proxy.
  const countHandles = () =>
    process.getActiveResourcesInfo().filter((type) => /Timeout|TCP|Immediate|GetAddrInfo/.test(type)).length

  t.test('leaves no timer and no socket behind, while up', async (t) => {
    const url = await ensureTestPostgres()
    const before = countHandles()
    const { listener, downs, reasons } = startListener(t, url)
    await until(() => listener.up)
    await listener.stop()
    await until(() => countHandles() <= before)
    t.equal(listener.up, false)
    t.same(downs, [], 'a stop that was asked for is no fault')
    t.same(reasons, [])
  })

  t.test('leaves no timer and no socket behind, between two tries', async (t) => {
    const port = await findFreePort()
    const before = countHandles()
    const { listener, reasons } = startListener(t, `postgresql://postgres@127.0.0.1:${port}/postgres`, {
      retryMinMs: 60_000,
      retryMaxMs: 60_000,
    })
    await until(() => reasons.length === 1)
    await listener.stop()
    await until(() => countHandles() <= before)
    t.pass()
  })

  t.test('says farewell, so that the server ends the session', async (t) => {
    const { url, pool } = await database(t, { empty: true })
    const { listener } = startListener(t, url)
    await until(() => listener.up)
    await listener.stop()
    await until(async () => {
      const { rows } = await pool.query(
        `select 1 from pg_stat_activity where application_name like '%listen test' and datname = current_database()`,
      )
      return rows.length === 0
    })
    t.pass()
  })

  t.test('ends before the first turn of the event loop too', async (t) => {
    const { listener, ups } = startListener(t, await ensureTestPostgres())
    await listener.stop()
    t.same(ups, [])
  })

  t.test('ends although the connection is half-open', async (t) => {
    const { proxy, url } = await proxied(t)
    const { listener, downs } = startListener(t, url, { heartbeatMs: 60_000, timeoutMs: 60_000 })
    await until(() => listener.up)
    proxy.blackhole(true)
    await listener.stop()
    t.equal(listener.up, false)
    t.same(downs, [])
  })

  t.test('ends although a heartbeat waits for its answer', async (t) => {
    const { proxy, url } = await proxied(t)
    const { listener } = startListener(t, url, { timeoutMs: 60_000 })
    await until(() => listener.up)
    proxy.blackhole(true)
    await until(() => listener.ageMs()! > 100)
    await listener.stop()
    t.equal(listener.up, false)
  })

  t.test('ends although a connect waits for its answer', async (t) => {
    const { proxy, url } = await proxied(t)
    proxy.blackhole(true)
    const { listener, ups } = startListener(t, url, { timeoutMs: 60_000 })
    await until(() => proxy.connections === 1)
    await listener.stop()
    t.same(ups, [])
  })

  t.test('may be called twice', async (t) => {
    const { listener } = startListener(t, await ensureTestPostgres())
    await Promise.all([listener.stop(), listener.stop()])
    await listener.stop()
  })
})
