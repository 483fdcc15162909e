import type { Pool } from 'pg'
import { classifyFault } from '../log/server/fault.ts'
import type { ServerWatch } from '../log/server/server-watch.ts'
import { commitMsMax } from '../log/write/commit-ms-max.ts'
import type { Inquiry } from '../log/write/inquiry.ts'
import { look, type DoubtPolicy, type Forgotten, type Look, type LookFrom } from '../log/write/look.ts'
import type { RetryPolicy } from '../message/decide.ts'
import type { Metrics } from '../metrics.ts'
import type { Failpoint } from '../runtime/failpoint.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { retryDelayMs } from '../runtime/retry-delay-ms.ts'
import { wait } from '../runtime/wait.ts'
import type { Waker, WakeCause } from '../wake/waker.ts'
import type { Origins } from './origins.ts'
import { adopt } from './adopt.ts'
import type { Destination } from './destination.ts'
import type { Ground } from './ground.ts'
import type { InquiryClaim } from './inquire.ts'
import type { Lane, Reservation } from './lane.ts'
import type { Outage } from './outage.ts'
import { takeOver, type Refusal } from './take-over.ts'

export type LaneDependencies = {
  database: Pool
  /** Is told how far the log was seen to reach. */
  server: Pick<ServerWatch, 'change' | 'see'>
  outage: Outage
  ground: Ground
  destination: Pick<Destination, 'see'>
  waker: Waker
  doubt: DoubtPolicy
  /** Null if traces are off. */
  origins: Pick<Origins, 'addTo'> | null
  /** Asks the processor about a message in doubt, and records the answer. */
  inquire: (lane: Lane, inquiry: Inquiry, claim: InquiryClaim) => void
  policy: RetryPolicy
  metrics: Metrics
  logger: Logger
  /** Whether any lane holds outcomes from before an outage. */
  isBehind: () => boolean
  /** Whether any lane of this instance holds the attempt: nothing of ours is taken over from ourselves. */
  isHeld: Lane['holds']
  /** How many attempts the lanes of this instance hold. */
  countHeld: () => number
  /** Whether another instance may be alive, by what is heard of it. */
  mayLive: (instance: string) => boolean
  failpoint: Failpoint
}

// Under load every commit of every instance is a wake; looking more often than this finds little and costs each time.
const lookEveryMs = 25
// The attempts of a COMMIT whose answer was lost may be open in the log, and their deadline runs. The sooner they are adopted, the more
// of it is left.
const adoptEveryMs = 500
const raceDelayMs = 20
// After a look that failed, as when the database is away.
const pause = { firstMs: 100, maxMs: 2_000 }

/**
 * Runs one lane until the signal aborts: waits for room, looks for due work, starts what it finds, and sleeps until the next
 * wake. New, retried and abandoned messages are all found by the same look.
 */
export async function runLane(
  lane: Lane,
  dependencies: LaneDependencies,
  signal: AbortSignal,
): Promise<void> {
  const { database, outage, ground, waker, logger } = dependencies
  let view = blank(dependencies)
  let failures = 0
  while (!signal.aborted) {
    try {
      await outage.end(database)
      await ground.require()
      if (dependencies.isBehind()) throw new Error('outcomes from before the outage are being stored')
      if (lane.hasUnanswered) await adopt(lane, database, logger, signal)
      if ((await lane.waitForRoom(signal, lane.hasUnanswered ? adoptEveryMs : undefined)) < 1) continue
      const lookedAt = performance.now()
      const found = await lookOnce(lane, dependencies, view)
      view = found.view
      tellRefusal(lane, view.refusal, logger)
      failures = 0
      if (found.more) continue
      const cause = await sleep(lane, dependencies, { lookedAt, dueInMs: found.dueInMs }, signal)
      // The bound in the view is right only while the database's clock is. A sweep or a reconnect says that something may have been
      // missed: then the next look begins without a bound.
      if (cause === 'sweep' || cause === 'reconnect') view = blank(dependencies)
      // What cut the sessions may have been a restore.
      if (cause === 'reconnect') await ground.inspect()
    } catch (error) {
      if (classifyFault(error) === 'transient') {
        // The database answered, and nothing was committed. This is no outage: an outage would delay takeovers by the grace time.
        await wait(raceDelayMs * Math.random(), signal)
        continue
      }
      outage.begin()
      lane.lastError = reasonOf(error)
      failures += 1
      if (failures === 1) logger.warn({ lane: lane.name, reason: lane.lastError }, 'lane waits')
      await wait(retryDelayMs(failures, pause), signal)
    }
  }
  waker.arm(null)
}

/** Once for as long as it lasts. */
function tellRefusal(lane: Lane, refusal: Refusal | null, logger: Logger): void {
  const reason = refusal?.reason ?? null
  if (refusal !== null && reason !== lane.lastError) {
    const { transactionId, attempt } = refusal
    logger.error(
      { lane: lane.name, transaction_id: transactionId, attempt, reason },
      'takeover refused by the log',
    )
  }
  lane.lastError = reason
}

/** What a lane need not look at. */
type View = {
  lookFrom: LookFrom
  /** On performance.now()'s clock: no lease can have ended unseen before. */
  leasesAt: number
  /** Why the log does not take the end of an attempt that nobody holds; null if it does. */
  refusal: Refusal | null
  /** The change of the server since when all this holds. */
  change: string | null
  /** performance.now() since when the pace of the destination holds up what is due; null if it does not. */
  pacedAt: number | null
}

// Between two tries to end what the log does not take: each costs a statement for each halving.
const refusedEveryMs = 1_000

/** After a change of the server nothing that was seen before says where to look. */
function blank({ server }: LaneDependencies): View {
  return { lookFrom: {}, leasesAt: 0, refusal: null, change: server.change, pacedAt: null }
}

type Found = { more: boolean; dueInMs: number | null; view: View }

async function lookOnce(lane: Lane, dependencies: LaneDependencies, known: View): Promise<Found> {
  const { change } = dependencies.server
  const view = known.change === change ? known : blank(dependencies)
  const lookedAt = performance.now()
  if (view.pacedAt !== null)
    dependencies.metrics.throttledSeconds.inc({ lane: lane.name }, (lookedAt - view.pacedAt) / 1_000)
  // The retry lane takes over for both lanes. It does not look for leases each time: under load the index is full of entries of leases
  // that were settled early, and finding the earliest open one in every look cost 11 µs a message.
  const withLeases = lane.name === 'retry' && lookedAt >= view.leasesAt
  const looked = await lookWithRoom(lane, dependencies, view.lookFrom, withLeases)
  const { found } = looked
  dependencies.server.see(found.lastPosition, change)
  lane.idle = found.dueInMs === null || found.dueInMs > 0
  await startFound(lane, dependencies, looked, lookedAt)
  const seen = { lookFrom: found.lookFrom, change, pacedAt: found.slotInMs === null ? null : lookedAt }
  if (found.expired) {
    const { taken, refusal } = await takeOver({
      lane,
      ...dependencies,
      lookFrom: found.lookFrom.processing ?? '-infinity',
    })
    const leasesAt = refusal === null ? 0 : lookedAt + refusedEveryMs
    // What is left is held by this instance, or by another that lives, and about to be settled.
    return { more: taken > 0, dueInMs: 1_000, view: { ...seen, leasesAt, refusal } }
  }
  const leasesAt = withLeases ? nextLeases(lookedAt, found.leaseEndsInMs, dependencies) : view.leasesAt
  return {
    // If there was room and a due message was not claimed, another instance has locked it, or it is beyond the bytes of one look.
    more: !lane.idle && found.claims.length + found.inquiries.length === looked.reservation.room,
    dueInMs: withLeases ? found.dueInMs : sooner(found.dueInMs, leasesAt),
    view: { ...seen, leasesAt, refusal: withLeases ? null : view.refusal },
  }
}

/** What a look found, and the room that its claims take. */
type Looked = { readonly found: Look; readonly reservation: Reservation }

async function lookWithRoom(
  lane: Lane,
  { database, outage, doubt, failpoint }: LaneDependencies,
  lookFrom: LookFrom,
  withLeases: boolean,
): Promise<Looked> {
  failpoint(`${lane.name}.before_claim`)
  // Slices cannot use room while a look has reserved it, and most looks of an idle lane find nothing. So an idle lane reserves a
  // tenth. If that is filled, the lane looks again at once, with all its room.
  const reservation = lane.reserve(lane.idle ? Math.ceil(lane.capacity / 10) : lane.capacity)
  try {
    const found = await look(database, {
      lane: lane.name,
      actor: lane.actor,
      room: { all: reservation.room, slow: lane.slowRoom },
      lease: outage.lease(),
      lookFrom,
      withLeases,
      doubt,
    })
    return { found, reservation }
  } catch (error) {
    // PostgreSQL's refusal means that nothing was committed; with the connection gone nobody knows.
    if (classifyFault(error) === 'lost') reservation.loseAnswer()
    else reservation.release()
    throw error
  }
}

async function startFound(
  lane: Lane,
  { failpoint, origins, destination, inquire, logger }: LaneDependencies,
  { found, reservation }: Looked,
  lookedAt: number,
): Promise<void> {
  if (found.claims.length > 0) failpoint(`${lane.name}.after_claim`)
  if (origins !== null) await origins.addTo([...found.claims, ...found.inquiries])
  const isSent = destination.see(found.destination)
  reservation.start(found.claims, isSent)
  for (const each of found.inquiries) inquire(lane, each, { claimedAt: lookedAt, isSent })
  for (const each of found.forgotten) tellForgotten(lane, each, logger)
}

function tellForgotten(lane: Lane, { transactionId, attempt }: Forgotten, logger: Logger): void {
  const line = { transaction_id: transactionId, lane: lane.name, attempt, outcome: 'unknown' }
  logger.warn({ ...line, reason: 'the processor may have forgotten its key' }, 'dead letter')
}

/** A lease that this look could not see was taken at most `commitMsMax` ago, and lasts as long as ours. */
function nextLeases(lookedAt: number, endsInMs: number | null, { outage }: LaneDependencies): number {
  return lookedAt + Math.min(endsInMs ?? Infinity, Math.max(0, outage.lease().leaseMs - commitMsMax))
}

/**
 * When to look next, after a look that left the leases out: the timer must cover the next look at the leases too. `leasesAt` is 0 in a
 * lane that never looks at leases.
 */
function sooner(dueInMs: number | null, leasesAt: number): number | null {
  return leasesAt === 0 ? dueInMs : Math.min(dueInMs ?? Infinity, leasesAt - performance.now())
}

async function sleep(
  lane: Lane,
  { waker, metrics }: LaneDependencies,
  { lookedAt, dueInMs }: { lookedAt: number; dueInMs: number | null },
  signal: AbortSignal,
): Promise<WakeCause | null> {
  waker.arm(lane.hasUnanswered ? Math.min(dueInMs ?? Infinity, adoptEveryMs) : dueInMs)
  const cause = await waker.next(signal)
  if (cause === null) return null
  metrics.wakeups.inc({ lane: lane.name, cause })
  const restMs = lookedAt + lookEveryMs - performance.now()
  if (restMs > 0) await wait(restMs, signal)
  return cause
}
