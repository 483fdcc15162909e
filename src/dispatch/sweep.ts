import type { Pool } from 'pg'
import { countMissed } from '../log/count-missed.ts'
import { foldPiece } from '../log/fold-counts.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { wait } from '../runtime/wait.ts'
import type { Waker } from '../wake/waker.ts'
import type { Lane } from './lane.ts'
import type { Outage } from './outage.ts'

const sweepEveryMs = 60_000
const missedAfterMs = 10_000

/**
 * The smoke alarm. Every minute it counts what has been due for over ten seconds although the lane had room and the LISTEN
 * session was up all that time: a wake-up that was missed. It stays 0 as long as the rest is right; if it does not, the lane
 * is woken all the same. It also folds the counts by status, the one other thing an idle service does on its tables.
 */
export async function sweep(
  options: {
    database: Pool
    lines: readonly { lane: Lane; waker: Waker }[]
    outage: Outage
    listenerUpSince: () => number | null
    metrics: Metrics
    logger: Logger
  },
  signal: AbortSignal,
): Promise<void> {
  const { database, lines, outage, metrics, logger } = options
  while (await wait(sweepEveryMs, signal)) {
    try {
      const awake = lines.filter(({ lane }) => hadRoom(lane, options.listenerUpSince()))
      for (const { lane, waker } of awake) {
        const missed = await countMissed(database, lane.name, outage.lease())
        if (missed === 0) continue
        metrics.missedWakeups.inc(missed)
        logger.error(
          { lane: lane.name, messages: missed },
          'missed wake-up: messages were due and nobody looked',
        )
        waker.wake('sweep')
      }
      while (!signal.aborted && (await foldPiece(database)));
    } catch (error) {
      logger.warn({ reason: error instanceof Error ? error.message : String(error) }, 'sweep failed')
    }
  }
}

function hadRoom(lane: Lane, listenerUpSince: number | null): boolean {
  const since = performance.now() - missedAfterMs
  return (
    lane.roomSince !== null && lane.roomSince < since && listenerUpSince !== null && listenerUpSince < since
  )
}
