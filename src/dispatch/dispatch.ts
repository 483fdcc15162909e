import { setImmediate } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { ServerWatch } from '../log/server/server-watch.ts'
import type { RetryPolicy } from '../message/decide.ts'
import { lanes as laneNames, type Lane as LaneName } from '../message/message.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { within } from '../runtime/within.ts'
import { Waker, type WakeCause } from '../wake/waker.ts'
import { makeAttempt, reportAttempt, type Deliver } from './make-attempt.ts'
import { Ground } from './ground.ts'
import { Lane, type Reservation } from './lane.ts'
import { Outage } from './outage.ts'
import { runLane } from './run-lane.ts'
import { Settler } from './settler.ts'
import { sweep } from './sweep.ts'
import { watchQueue } from './watch-queue.ts'

export type DispatchOptions = {
  database: Pool
  instance: string
  server: Pick<ServerWatch, 'change' | 'see' | 'recognize'>
  limits: Readonly<Record<LaneName, number>>
  leaseMs: number
  timeoutMs: number
  policy: RetryPolicy
  deliver: Deliver
  /** Ends every open request now; see Deliverer. */
  abortAll: (reason: string) => void
  /** Whether another instance may be alive, by what is heard of it. */
  mayLive: (instance: string) => boolean
  /** performance.now() since when the LISTEN session has been up; null while it is down. */
  listenerUpSince: () => number | null
  metrics: Metrics
  logger: Logger
  failpoint: (name: string) => void
  /** Whether the database has only just come back: other instances may hold outcomes over its outage. */
  afterOutage: boolean
}

export type Dispatcher = {
  /** A hint that something may be due. */
  wake(cause: WakeCause): void
  /**
   * Room for messages that ingest stores, so that their first attempt starts in the same transaction. Rejects while the log lacks
   * what it rests on: nothing is to be stored then.
   */
  reserveFresh(max: number): Promise<Reservation>
  /** `lastError`: why the lane waits for the database; null while it does not. */
  lanes(): { lane: LaneName; inFlight: number; limit: number; lastError: string | null }[]
  /** Takes no more, finishes what is open, and after `graceMs` ends that too as unknown. Resolves within about `graceMs` + 1.5 s. */
  drain(graceMs: number): Promise<void>
}

// A slice waits for room in the lane for up to `reserveWaitMs`. Once slices have waited in vain for `patienceMs`, they wait no more
// until the lane has caught up. A pause of the process or its cold start is shorter than that. When the first wait in vain ended the
// waiting, a full topic never got back to it: each message was claimed by a look (45 % more CPU).
const reserveWaitMs = 500
const patienceMs = 5_000
const settleGraceMs = 1_500

/** A lane with what works for it. */
type LaneParts = {
  lane: Lane
  settler: Settler
  waker: Waker
  /** performance.now() since when no slice has found the lane keeping up; null if the last one did. */
  behindSince: number | null
}

/** Starts the two lanes, fresh work and retries: one code path, room of their own, so that neither starves the other. */
export function dispatch(options: DispatchOptions): Dispatcher {
  const stop = new AbortController()
  const outage = new Outage(options.leaseMs, options.timeoutMs, options.server)
  if (options.afterOutage) outage.begin()
  const ground = new Ground(options.database, options.logger)
  const lanes = laneNames.map((name) => createLane(name, options, outage))
  const isBehind = (): boolean => lanes.some((parts) => parts.settler.behind)
  const isHeld: Lane['holds'] = (attempt) => lanes.some((parts) => parts.lane.holds(attempt))
  const countHeld = (): number => lanes.reduce((sum, { lane }) => sum + lane.open, 0)
  const loops = lanes.map(({ lane, waker }) =>
    runLane(lane, { ...options, outage, ground, waker, isBehind, isHeld, countHeld }, stop.signal),
  )
  const watches = [
    sweep({ ...options, lanes, outage, ground }, stop.signal),
    watchQueue(options, stop.signal),
  ]
  const fresh = partsOf(lanes, 'fresh')
  return {
    wake: (cause) => lanes.forEach((parts) => parts.waker.wake(cause)),
    reserveFresh: async (max) => {
      ground.refuse()
      return reserveFresh(fresh, max, stop.signal)
    },
    lanes: () =>
      lanes.map(({ lane, settler }) => ({
        lane: lane.name,
        inFlight: lane.open,
        limit: lane.limit,
        // If the lane waits only because the settler does, the settler's reason says more.
        lastError: settler.lastError ?? lane.lastError,
      })),
    drain: async (graceMs) => {
      const drainedAt = performance.now()
      stop.abort()
      // A loop may hang on a frozen database; what is open is finished all the same.
      await within(Promise.all([...loops, ...watches]), graceMs / 2)
      await finish(lanes, options, graceMs - (performance.now() - drainedAt))
    },
  }
}

function createLane(name: LaneName, options: DispatchOptions, outage: Outage): LaneParts {
  const { database, policy, metrics, logger, failpoint } = options
  const waker = new Waker()
  const lane = new Lane(
    name,
    options.instance,
    options.limits[name],
    options.timeoutMs,
    (claim, deadlineAt) => {
      void makeAttempt(claim, deadlineAt, options.deliver, policy).then((finished) => {
        failpoint(`${name}.sent`)
        settler.add(finished)
      })
    },
  )
  const settler = new Settler({
    database,
    actor: lane.actor,
    logger,
    openCount: () => lane.open,
    onOutage: () => outage.begin(),
    beforeStore: () => failpoint(`${name}.before_outcome`),
    onSettled: (batch, answers) => {
      failpoint(`${name}.after_outcome`)
      lane.close(batch)
      batch.forEach((finished, at) =>
        reportAttempt(lane, finished, answers[at] ?? 'stray', policy, metrics, logger),
      )
    },
  })
  return { lane, settler, waker, behindSince: null }
}

/**
 * Gives no room while messages are due: new records must not overtake a backlog, which the lane's own looks work off. If the lane keeps
 * up, this waits for room, because an attempt that starts in the transaction that stores its message saves a claim. If the lane has not
 * kept up for a while, this does not wait until it does: storing records comes first.
 */
async function reserveFresh(parts: LaneParts, max: number, signal: AbortSignal): Promise<Reservation> {
  const { lane, waker } = parts
  const wanted = Math.min(max, Math.ceil(lane.limit / 2))
  const until = performance.now() + reserveWaitMs
  // Several partitions wait here at once, and the first to wake may have taken the room.
  while (!notePace(parts, wanted) && isPatient(parts) && !signal.aborted) {
    const restMs = until - performance.now()
    if (restMs <= 0) break
    await lane.waitToKeepUp(wanted, signal, restMs)
  }
  const reservation = lane.reserve(lane.keepsUp(1) && !signal.aborted ? max : 0)
  // Messages without room are due as soon as they are stored. Whether there are any (the slice may fail, or hold duplicates only), the
  // next look finds out.
  const isShort = reservation.room < max
  if (isShort) lane.idle = false
  return {
    ...reservation,
    start: (claims) => {
      reservation.start(claims)
      if (isShort) waker.wake('slot')
    },
    release: () => {
      reservation.release()
      if (isShort) waker.wake('slot')
    },
    doubt: () => {
      reservation.doubt()
      // The lane may be asleep. A lost answer brings no notification, so nothing else would wake it to adopt these attempts.
      waker.wake('reconnect')
    },
  }
}

function notePace(parts: LaneParts, wanted: number): boolean {
  const keepsUp = parts.lane.keepsUp(wanted)
  parts.behindSince = keepsUp ? null : (parts.behindSince ?? performance.now())
  return keepsUp
}

function isPatient({ behindSince }: LaneParts): boolean {
  return behindSince === null || performance.now() - behindSince < patienceMs
}

async function finish(lanes: LaneParts[], options: DispatchOptions, graceMs: number): Promise<void> {
  await Promise.all(lanes.map(({ lane }) => lane.waitForEnd(graceMs)))
  if (lanes.some(({ lane }) => lane.open > 0)) {
    options.abortAll('the service is stopping')
    // What was aborted reports its outcome before the settlers are asked to end.
    await setImmediate()
  }
  const left = await Promise.all(lanes.map(({ settler }) => settler.end(settleGraceMs)))
  const outcomes = left.reduce((sum, count) => sum + count, 0)
  if (outcomes > 0) options.logger.error({ outcomes }, 'stopped with outcomes that could not be stored')
}

function partsOf(lanes: LaneParts[], name: LaneName): LaneParts {
  const parts = lanes.find((each) => each.lane.name === name)
  if (parts === undefined) throw new Error(`no lane ${name}`)
  return parts
}
