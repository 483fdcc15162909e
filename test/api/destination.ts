import type { Pool } from 'pg'
import type { Test } from 'tap'
import { pino } from 'pino'
import { advanceDestination } from '../../src/log/write/advance-destination.ts'
import { listen } from '../../src/wake/listen.ts'
import { until } from '../support/until.ts'
import { settle } from '../../src/log/write/settle.ts'
import { store, type Service } from './service.ts'

const guard = { holdAfter: 2, brakeAfter: 50, probeEveryMs: 3_600_000 }

/** Has the guard of an instance hold the destination: two payments get 503. */
export async function hold(pool: Pool, ids: readonly [string, string]): Promise<void> {
  const claims = await store(pool, ids, { room: 2 })
  await settle(
    pool,
    'instance-1/fresh',
    claims.map((claim) => ({
      ...claim,
      outcome: { kind: 'unavailable', statusCode: 503, reason: 'HTTP 503', retryAfterMs: null },
      durationMs: 1,
      decision: { then: 'retry', delayMs: 3_600_000 },
      verdict: 'failure',
    })),
  )
  const view = await advanceDestination(pool, 'default', 'instance-1/guard', guard, 6_000)
  if (view.state !== 'held') throw new Error(`the destination is ${view.state}`)
}

/** Has the service hear of decisions, as the LISTEN session of an instance does. Answers how to cut that session once. */
export async function hearDecisions(
  t: Pick<Test, 'teardown'>,
  { url, pool }: { url: string; pool: Pool },
  service: Service,
): Promise<() => Promise<void>> {
  const listener = listen({
    connectionString: url,
    channels: ['destination_changed'],
    instance: 'test',
    onNotify: () => service.destinationChanges.give(),
    onUp: () => service.destinationChanges.give(),
    logger: pino({ level: 'silent' }),
  })
  t.teardown(() => listener.stop())
  await until('the listener', () => listener.up)
  return async () => {
    const { rowCount } = await pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and application_name like 'transaction-queue-proxy listen %'`,
    )
    if (rowCount === 0) throw new Error('there is no LISTEN session')
  }
}
