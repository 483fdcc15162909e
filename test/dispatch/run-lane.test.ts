import { pino } from 'pino'
import t from 'tap'
import { Ground } from '../../src/dispatch/ground.ts'
import { Outage } from '../../src/dispatch/outage.ts'
import { runLane } from '../../src/dispatch/run-lane.ts'
import { createMetrics } from '../../src/metrics.ts'
import { Waker } from '../../src/wake/waker.ts'
import { openAttempts, retry, sameServer } from '../log/support.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { hangingLane } from './support.ts'
import { flowing } from '../support/flowing.ts'

const logger = pino({ level: 'silent' })

for (const code of ['40001', '40P01']) {
  t.test(`a race that a look loses (${code}) is tried again, and puts off no takeover`, async (t) => {
    const { pool } = await database(t)
    const [abandoned] = await openAttempts(pool, 1, 0)
    // The first three looks lose. A sequence keeps its count when the transaction is rolled back.
    await pool.query('create sequence looks')
    await pool.query('alter function claim rename to claim_unhindered')
    await pool.query(
      `create function claim(in_queue text, in_is_slow boolean, in_actor text, in_room int, in_bytes_max bigint, in_lease_ms bigint, in_claimed_at timestamptz,
           in_look_from timestamptz, in_key_window_ms bigint, in_inquires boolean, in_sure boolean)
        returns table (kind text, message_id bigint, attempt int, retry_count int, transaction_id text, payload bytea, traceparent text,
          age_ms double precision, lease_ends_at bigint)
        language plpgsql volatile as $$
        begin
          if nextval('looks') <= 3 then raise sqlstate '${code}'; end if;
          return query select * from claim_unhindered(in_queue, in_is_slow, in_actor, in_room, in_bytes_max, in_lease_ms, in_claimed_at, in_look_from, in_key_window_ms, in_inquires, in_sure);
        end $$`,
    )
    const begun: string[] = []
    const lane = hangingLane('retry', retry.split('/')[0]!, 10, ({ messageId }) => begun.push(messageId))
    const outage = new Outage(60_000, 1_000, sameServer)
    const stop = new AbortController()
    t.teardown(() => stop.abort())
    const running = runLane(
      lane,
      {
        database: pool,
        server: sameServer,
        outage,
        ground: new Ground(pool, logger),
        destination: flowing,
        waker: new Waker(),
        doubt: { keyWindowMs: null, inquires: false },
        origins: null,
        inquire: () => undefined,
        policy: { retriesMax: 3, baseDelayMs: 1, maxDelayMs: 1 },
        metrics: createMetrics('test'),
        logger,
        isBehind: () => false,
        isHeld: () => false,
        countHeld: () => 0,
        mayLive: () => false,
        failpoint: () => undefined,
      },
      stop.signal,
    )
    await until('the abandoned attempt to be taken over and tried again', () => begun.length > 0)
    t.same(begun, [abandoned])
    t.equal(outage.lease().reconnectedAt, '-infinity', 'the database was never away')
    t.equal(lane.room, 9, 'nor is any room kept for a lost answer')
    stop.abort()
    await running
  })
}
