import { pino } from 'pino'
import t from 'tap'
import { dispatch } from '../../src/dispatch/dispatch.ts'
import { createMetrics } from '../../src/metrics.ts'
import { database } from '../support/database.ts'
import { sameServer } from '../log/support.ts'
import { until } from '../support/until.ts'
import { guard, holdsNothing } from '../support/flowing.ts'

t.test(
  'a slice that found too little room and brought nothing new leaves the lane open to the next',
  async (t) => {
    const { pool } = await database(t)
    const dispatcher = dispatch({
      database: pool,
      instance: 'instance-1',
      server: sameServer,
      limits: { fresh: 10, retry: 5 },
      segmentMessages: 5_000_000,
      leaseMs: 60_000,
      timeoutMs: 30_000,
      policy: { retriesMax: 5, baseDelayMs: 100, maxDelayMs: 1_000, holdStatuses: holdsNothing },
      destination: 'default',
      keyWindowMs: null,
      inquiry: null,
      throttleMaxMs: 60_000,
      guard,
      retention: null,
      deliver: () => Promise.reject(new Error('nothing is to be sent here')),
      tracing: null,
      abortAll: () => undefined,
      mayLive: () => false,
      listenerUpSince: () => null,
      metrics: createMetrics('test'),
      logger: pino({ level: 'silent' }),
      failpoint: () => undefined,
      afterOutage: false,
    })
    t.teardown(() => dispatcher.drain(1_000))
    const findsRoom = async (): Promise<boolean> => {
      const reservation = await dispatcher.reserveFresh(1)
      reservation.release()
      return reservation.room === 1
    }
    await until('the first look', findsRoom)

    for (const end of ['start', 'release'] as const) {
      const reservation = await dispatcher.reserveFresh(100)
      t.equal(reservation.room, 10)
      // All of its records were duplicates, or lay below the stored offset: nothing NOTIFYs.
      if (end === 'start') reservation.start([])
      else reservation.release()
      await until('the lane to keep up again', findsRoom, 10_000)
    }
  },
)
