import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { dispatch, type Dispatcher } from '../../src/dispatch/dispatch.ts'
import { mostAhead } from '../../src/dispatch/wire.ts'
import { registerInstance } from '../../src/log/write/register-instance.ts'
import { createMetrics } from '../../src/metrics.ts'
import { verify } from '../../src/verify/verify.ts'
import { startDeliverer } from '../deliver/processor.ts'
import { newName, record, sameServer, store } from '../log/support.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { differing } from '../verify/broken.ts'
import { guard, holdsNothing } from '../support/flowing.ts'

const limits = { fresh: 5, retry: 2 }

/** A processor that answers at once, or holds each request until it is told to answer. */
async function startProcessor(t: Test) {
  const held: ServerResponse[] = []
  /** First attempts come from the fresh lane, all others from the retry lane. */
  const now = { fresh: 0, retry: 0 }
  const most = { fresh: 0, retry: 0 }
  const processor = {
    /** From this request on requests are held. */
    holdFrom: 0,
    requests: 0,
    most,
    now,
    held: () => held.length,
    release(): void {
      processor.holdFrom = Infinity
      for (const response of held.splice(0)) response.end()
    },
  }
  const server = createServer((request, response) => {
    const lane = request.headers['x-attempt'] === '1' ? 'fresh' : 'retry'
    now[lane] += 1
    most[lane] = Math.max(most[lane], now[lane])
    response.on('close', () => (now[lane] -= 1))
    request.resume().on('end', () => {
      processor.requests += 1
      if (processor.requests > processor.holdFrom) held.push(response)
      else response.end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { processor, url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`) }
}

/** Two lanes on so many messages that are pending, each of which may be sent once: no outcome but `accepted` is retried by policy. */
async function setUp(t: Test, messages: number, holdFrom: number) {
  const { pool, url } = await database(t)
  const { processor, url: processorUrl } = await startProcessor(t)
  processor.holdFrom = holdFrom
  for (let stored = 0; stored < messages; stored += 250) {
    const count = Math.min(250, messages - stored)
    await store(
      pool,
      Array.from({ length: count }, (_, at) => record(at, newName())),
    )
  }
  const start = async (instance: string): Promise<Dispatcher> => {
    const deliverer = startDeliverer(t, processorUrl, {
      timeoutMs: 60_000,
      connections: limits.fresh + limits.retry,
    })
    const policy = { retriesMax: 0, baseDelayMs: 100, maxDelayMs: 1_000 }
    await registerInstance(pool, {
      instance,
      release: 'test',
      freshMax: limits.fresh + mostAhead(limits.fresh),
      retryMax: limits.retry + mostAhead(limits.retry),
      leaseMs: 120_000,
      timeoutMs: 60_000,
      retry: policy,
    })
    const dispatcher = dispatch({
      database: pool,
      instance,
      server: sameServer,
      limits,
      leaseMs: 120_000,
      timeoutMs: 60_000,
      policy: { ...policy, holdStatuses: holdsNothing },
      destination: 'default',
      keyWindowMs: null,
      inquiry: null,
      throttleMaxMs: 60_000,
      guard,
      deliver: (delivery, deadlineAt) => deliverer.deliver(delivery, deadlineAt),
      tracing: null,
      abortAll: (reason) => deliverer.abortAll(reason),
      mayLive: () => false,
      listenerUpSince: () => null,
      metrics: createMetrics('test'),
      logger: pino({ level: 'silent' }),
      failpoint: () => undefined,
      segmentMessages: 5_000_000,
      retention: null,
      afterOutage: false,
    })
    t.teardown(() => dispatcher.drain(0))
    // No LISTEN session tells these lanes of retries that are due at once.
    const waking = setInterval(() => dispatcher.wake('notify'), 50)
    t.teardown(() => clearInterval(waking))
    return dispatcher
  }
  const count = async (condition: string): Promise<number> => {
    const { rows } = await pool.query<{ n: number }>(
      `select count(*)::int as n from message_states where ${condition}`,
    )
    return rows[0]!.n
  }
  const isClean = async (): Promise<void> => {
    const report = await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })
    // The records were stored by the test, which is no registered instance.
    const { S14, ...others } = differing(report)
    t.same(others, {})
    t.ok(S14?.every((line) => line.includes('ingest-1')))
  }
  return { pool, processor, start, count, isClean }
}

type End = { outcome: string; reason: string; attempts: number; dueAtOnce: boolean | null }

async function ends(pool: pg.Pool): Promise<End[]> {
  const { rows } = await pool.query<End>(
    `select outcome, reason, count(*)::int as attempts, bool_and(due_at = recorded_at) as "dueAtOnce" from message_events
      where type = 'attempt_failed' group by 1, 2 order by 1`,
  )
  return rows
}

function waitingIn(dispatcher: Dispatcher): number {
  return dispatcher.lanes().find(({ lane }) => lane === 'fresh')!.claimedAhead
}

t.test('a processor that hangs has the limit on the wire, and nothing claimed ahead', async (t) => {
  const { processor, start, count, isClean } = await setUp(t, 100, 0)
  const dispatcher = await start('instance-1')
  await until('the limit to be on the wire', () => processor.held() === limits.fresh)
  // Many looks later.
  await sleep(500)
  t.match(dispatcher.lanes()[0], { lane: 'fresh', inFlight: limits.fresh, claimedAhead: 0 })
  t.equal(await count(`status = 'processing'`), limits.fresh)
  processor.release()
  await until('all to be delivered', async () => (await count(`status = 'success'`)) === 100)
  t.equal(processor.most.fresh, limits.fresh, 'never more than the limit at once')
  await isClean()
})

t.test('what waits when the processor turns slow is retried at once, and is no dead letter', async (t) => {
  const { pool, processor, start, count, isClean } = await setUp(t, 1_000, 600)
  const dispatcher = await start('instance-1')
  await until(
    'the processor to hang with more claimed ahead',
    () => processor.held() === limits.fresh && waitingIn(dispatcher) > 0,
  )
  await until('what waited to be given up', () => waitingIn(dispatcher) === 0)
  await until(
    'that to be stored',
    async () => (await count(`status = 'processing' and attempts = 1`)) === limits.fresh,
  )
  const [end, ...others] = await ends(pool)
  t.match(end, {
    outcome: 'not_sent',
    reason: 'waited in its lane and was not sent: the requests before it took too long',
    dueAtOnce: true,
  })
  t.ok(end!.attempts > 0 && end!.attempts <= mostAhead(limits.fresh), `${end!.attempts} were not sent`)
  t.same(others, [])
  processor.release()
  await until('all to be delivered', async () => (await count(`status = 'success'`)) === 1_000)
  t.equal(processor.requests, 1_000, 'each was sent once')
  t.ok(processor.most.fresh <= limits.fresh && processor.most.retry <= limits.retry)
  await isClean()
})

t.test('a stop ends what waits as not sent, and what is under way as unknown', async (t) => {
  const { pool, processor, start, count, isClean } = await setUp(t, 1_000, 600)
  const dispatcher = await start('instance-1')
  await until(
    'the processor to hang with more claimed ahead',
    () => processor.held() === limits.fresh && waitingIn(dispatcher) > 0,
  )
  await dispatcher.drain(500)
  t.equal(await count(`status = 'processing'`), 0)
  const unsent = await count(`status = 'failed'`)
  t.ok(unsent > 0, 'some were claimed ahead')
  t.match(await ends(pool), [
    {
      outcome: 'not_sent',
      reason: 'waited in its lane and was not sent: the service is stopping',
      attempts: unsent,
      dueAtOnce: true,
    },
    { outcome: 'unknown', attempts: limits.fresh },
  ])
  processor.release()
  await start('instance-2')
  const delivered = 1_000 - limits.fresh
  await until('the others to be delivered', async () => (await count(`status = 'success'`)) === delivered)
  t.equal(processor.requests, 1_000, 'each was sent once')
  await isClean()
})

t.test('one instance whose processor hangs leaves the work to another', async (t) => {
  const { processor, start, count, isClean } = await setUp(t, 1_000, 600)
  const stuck = await start('instance-1')
  await until('the processor to hang', () => processor.held() === limits.fresh)
  processor.holdFrom = Infinity
  await start('instance-2')
  const delivered = 1_000 - limits.fresh
  await until('the other to do the rest', async () => (await count(`status = 'success'`)) === delivered)
  t.match(stuck.lanes()[0], { inFlight: limits.fresh, claimedAhead: 0 })
  processor.release()
  await until('all to be delivered', async () => (await count(`status = 'success'`)) === 1_000)
  await isClean()
})
