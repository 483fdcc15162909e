import type { Pool } from 'pg'
import { makeSegments } from '../log/server/make-segments.ts'
import { countMissed } from '../log/write/count-missed.ts'
import { agePiece, foldPiece } from '../log/write/fold-counts.ts'
import { forgetPlans } from '../log/write/forget-plans.ts'
import { placeStrays } from '../log/write/place-strays.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { wait } from '../runtime/wait.ts'
import type { Waker } from '../wake/waker.ts'
import type { Destination } from './destination.ts'
import type { Ground } from './ground.ts'
import type { Lane } from './lane.ts'
import type { Outage } from './outage.ts'
import type { Jobs } from './jobs.ts'

const sweepEveryMs = 60_000
const missedAfterMs = 10_000
// Once an hour one piece is old. After an outage of weeks more are, and they must not keep the next sweep from its time: a piece
// takes some 0.1 s.
const agedPiecesMax = 60

type SweepOptions = {
  database: Pool
  lanes: readonly { lane: Lane; waker: Waker }[]
  outage: Outage
  ground: Ground
  destination: Pick<Destination, 'check'>
  jobs: Pick<Jobs, 'wake'>
  listenerUpSince: () => number | null
  segmentMessages: number
  metrics: Metrics
  logger: Logger
  /** For tests. */
  everyMs?: number
}

/**
 * The smoke alarm. Every minute it counts what has been due for over ten seconds although the lane had room and the LISTEN session was up
 * all that time: a wake-up that was missed. It stays 0 as long as the rest is right; if it does not, the lane is woken all the same. It is
 * woken, too, where there may be a reason, because nobody can tell then. It also checks that the log has what it rests on, makes the log's
 * segments ahead of need, places stray outcomes, folds the counts by status and the rollups, makes old rollups coarser, and removes plans
 * that have expired. An idle service does nothing else with its tables.
 */
export async function sweep(options: SweepOptions, signal: AbortSignal): Promise<void> {
  const { lanes, ground, metrics, logger } = options
  metrics.lastSweep.setToCurrentTime()
  while (await wait(options.everyMs ?? sweepEveryMs, signal)) {
    // An instance that died may have left a decision that is due.
    options.destination.check()
    options.jobs.wake()
    try {
      await ground.inspect()
      if (ground.fault !== null) {
        // Each lane finds that it has to stand still, and when it may go on.
        for (const { waker } of lanes) waker.wake('sweep')
        continue
      }
      await countMissedWakeups(options)
      await tidy(options, signal)
      metrics.lastSweep.setToCurrentTime()
    } catch (error) {
      logger.warn({ reason: reasonOf(error) }, 'sweep failed')
    }
  }
}

async function countMissedWakeups(options: SweepOptions): Promise<void> {
  const { database, lanes, outage, metrics, logger } = options
  const awake = lanes.filter(({ lane }) => hadRoom(lane, options.listenerUpSince()))
  for (const { lane, waker } of awake) {
    const { missed, isHeldUp } = await countMissed(database, lane.name, outage.lease())
    // Where there may be a reason, one that the lane's bound passes over would show in no number.
    if (missed > 0 || isHeldUp) waker.wake('sweep')
    if (missed === 0) continue
    metrics.missedWakeups.inc(missed)
    logger.error({ lane: lane.name, messages: missed }, 'missed wake-up: messages were due and nobody looked')
  }
}

function hadRoom(lane: Lane, listenerUpSince: number | null): boolean {
  const since = performance.now() - missedAfterMs
  return (
    lane.roomSince !== null && lane.roomSince < since && listenerUpSince !== null && listenerUpSince < since
  )
}

async function tidy({ database, segmentMessages, logger }: SweepOptions, signal: AbortSignal): Promise<void> {
  const segments = await makeSegments(database, segmentMessages)
  if (segments > 0) logger.info({ segments }, 'segments of the log made')
  await placeStrays(database)
  while (!signal.aborted && (await foldPiece(database)));
  for (let piece = 0; piece < agedPiecesMax && !signal.aborted && (await agePiece(database)); piece++);
  await forgetPlans(database)
}
