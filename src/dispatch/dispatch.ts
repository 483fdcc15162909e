import { setImmediate } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { ServerWatch } from '../log/server/server-watch.ts'
import type { GuardPolicy } from '../log/write/advance-destination.ts'
import type { Inquiry } from '../log/write/inquiry.ts'
import { readThrottle } from '../message/read-throttle.ts'
import { lanes as laneNames, type LaneName } from '../message/message.ts'
import type { Metrics } from '../metrics.ts'
import type { Failpoint } from '../runtime/failpoint.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Tracing } from '../trace/tracing.ts'
import { within } from '../runtime/within.ts'
import { Waker, type WakeCause } from '../wake/waker.ts'
import { Origins } from './origins.ts'
import { Destination } from './destination.ts'
import { endUnsent, makeAttempt, reportAttempt, type AttemptPolicy, type Deliver } from './make-attempt.ts'
import { Ground } from './ground.ts'
import { inquire, type InquiryOptions } from './inquiries.ts'
import { Lane, type Reservation } from './lane.ts'
import { Outage } from './outage.ts'
import { References } from './references.ts'
import { retain, type Retention } from './retain.ts'
import { Jobs } from './run-jobs.ts'
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
  /** How long the processor remembers an idempotency key; null for ever. */
  keyWindowMs: number | null
  /** How it is asked about messages in doubt; null if it cannot be. */
  inquiry: InquiryOptions | null
  policy: AttemptPolicy
  /** The name of the destination, and when the guard holds it. */
  destination: string
  guard: GuardPolicy
  /** The longest that all wait at once for a processor that asks for less; 0 if none does. */
  throttleMaxMs: number
  /** How long payloads are kept; null for ever. */
  retention: Retention | null
  deliver: Deliver
  /** Null if traces are off. */
  tracing: Tracing | null
  /** Ends every open request now; see Deliverer. */
  abortAll: (reason: string) => void
  /** Whether another instance may be alive, by what is heard of it. */
  mayLive: (instance: string) => boolean
  /** performance.now() since when the LISTEN session has been up; null while it is down. */
  listenerUpSince: () => number | null
  /** How many messages a new segment of the log holds. */
  segmentMessages: number
  metrics: Metrics
  logger: Logger
  failpoint: Failpoint
  /** Whether the database has only just come back: other instances may hold outcomes over its outage. */
  afterOutage: boolean
}

export type Dispatcher = {
  /** A hint that something may be due. */
  wake(cause: WakeCause): void
  /** A hint that something was decided about the destination. */
  lookAtDestination(): void
  /** A hint that something was decided about a replay job. */
  lookAtJobs(): void
  /**
   * Room for messages that ingest stores, so that their first attempt starts in the same transaction. Rejects while the log lacks
   * what it rests on: nothing is to be stored then.
   */
  reserveFresh(max: number): Promise<Reservation>
  /**
   * `inFlight`: requests under way. `claimedAhead`: attempts that wait for one to end. `lastError`: why the lane waits for the
   * database; null while it does not.
   */
  lanes(): {
    lane: LaneName
    inFlight: number
    claimedAhead: number
    limit: number
    lastError: string | null
  }[]
  /** How many requests all lanes together may have under way now, and at most. */
  destination(): { room: number; limit: number }
  /** Takes no more, finishes what is open, and after `graceMs` ends that too as unknown. Resolves within about `graceMs` + 1.5 s. */
  drain(graceMs: number): Promise<void>
}

// A slice waits for room in the lane for up to `reserveWaitMs`. Once slices have waited in vain for `patienceMs`, they wait no more
// until the lane has caught up. A pause of the process or its cold start is shorter than that. When the first wait in vain ended the
// waiting, a full topic never got back to it: each message was claimed by a look (45 % more CPU).
const reserveWaitMs = 500
const patienceMs = 5_000
const settleGraceMs = 1_500
const stopping = 'the service is stopping'

/** Whether the requests that are still open were ended by the stop: that says nothing of the destination. */
type End = { isAborted: boolean }

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
  const destination = new Destination({
    name: options.destination,
    database: options.database,
    actor: `${options.instance}/guard`,
    policy: options.guard,
    limitMax: Math.max(options.limits.fresh, options.limits.retry),
    logger: options.logger,
    onChange: () => lanes.forEach(noteDestination),
  })
  const end: End = { isAborted: false }
  const references = new References(options.metrics, options.logger)
  const lanes = laneNames.map((name) => createLane(name, options, outage, destination, references, end))
  const isBehind = (): boolean => lanes.some((parts) => parts.settler.behind)
  const isHeld: Lane['holds'] = (attempt) => lanes.some((parts) => parts.lane.holds(attempt))
  const countHeld = (): number => lanes.reduce((sum, { lane }) => sum + lane.open, 0)
  const doubt = { keyWindowMs: options.keyWindowMs, inquires: options.inquiry !== null }
  const ask = (lane: Lane, each: Inquiry, claimedAt: number, isSent: boolean): void => {
    if (options.inquiry === null) return
    void inquire(
      lane,
      each,
      options.inquiry,
      { ...options, references },
      stop.signal,
      claimedAt,
      isSent,
    ).then(() => {
      // It may have been the probe.
      if (destination.state !== 'flowing') destination.check()
      // Others of its kind may wait for it to end.
      if (each.isSlow) partsOf(lanes, lane.name).waker.wake('slot')
    })
  }
  const loops = lanes.map(({ lane, waker }) =>
    runLane(
      lane,
      {
        ...options,
        outage,
        ground,
        destination,
        waker,
        doubt,
        origins: options.tracing && new Origins(options.database),
        inquire: ask,
        isBehind,
        isHeld,
        countHeld,
      },
      stop.signal,
    ),
  )
  const jobs = new Jobs({ ...options, ground, room: options.limits.fresh })
  const watches = [
    jobs.run(stop.signal),
    sweep({ ...options, lanes, outage, ground, destination, jobs }, stop.signal),
    retain({ ...options, ground }, stop.signal),
    watchQueue(options, stop.signal),
  ]
  const fresh = partsOf(lanes, 'fresh')
  const flows = (): boolean => destination.state === 'flowing' && !destination.isPaced && destination.room > 0
  return {
    wake: (cause) => lanes.forEach((parts) => parts.waker.wake(cause)),
    lookAtDestination: () => {
      destination.check()
      // The next probe may be this instance's.
      if (destination.state !== 'flowing') lanes.forEach((parts) => parts.waker.wake('destination'))
    },
    lookAtJobs: () => jobs.wake(),
    reserveFresh: async (max) => {
      ground.refuse()
      // What has waited goes first.
      return reserveFresh(fresh, max, flows(), stop.signal)
    },
    lanes: () =>
      lanes.map(({ lane, settler }) => ({
        lane: lane.name,
        inFlight: lane.sending,
        claimedAhead: lane.waiting,
        limit: lane.limit,
        // If the lane waits only because the settler does, the settler's reason says more.
        lastError: settler.lastError ?? lane.lastError,
      })),
    destination: () => ({
      room: roomOf(destination, options.limits),
      limit: options.limits.fresh + options.limits.retry,
    }),
    drain: async (graceMs) => {
      const drainedAt = performance.now()
      stop.abort()
      // A loop may hang on a frozen database; what is open is finished all the same.
      await within(Promise.all([...loops, ...watches]), graceMs / 2)
      await finish(lanes, options, end, graceMs - (performance.now() - drainedAt))
      await within(destination.stop(), settleGraceMs)
    },
  }
}

/** What the lanes may send now. While the destination is held or paused, a lane still looks (see Destination.room). */
function roomOf({ state, room }: Destination, limits: DispatchOptions['limits']): number {
  switch (state) {
    case 'paused':
      return 0
    case 'held':
      return 1
    case 'flowing':
    case 'ramping':
      return Math.min(limits.fresh, room) + Math.min(limits.retry, room)
  }
}

function noteDestination({ lane, waker }: LaneParts): void {
  lane.recheck()
  waker.wake('destination')
}

function createLane(
  name: LaneName,
  options: DispatchOptions,
  outage: Outage,
  destination: Destination,
  references: References,
  end: End,
): LaneParts {
  const { database, policy, tracing, metrics, logger, failpoint } = options
  const waker = new Waker()
  const lane = new Lane({
    name,
    instance: options.instance,
    limit: options.limits[name],
    leaseMs: options.leaseMs,
    timeoutMs: options.timeoutMs,
    destination,
    send: async (claim, deadlineAt, waitedMs) => {
      const sentAt = performance.now()
      destination.noteSent()
      const finished = await makeAttempt(
        claim,
        deadlineAt,
        waitedMs,
        options.deliver,
        policy,
        options.timeoutMs,
        tracing?.startAttempt(claim, name) ?? null,
      )
      const asked = readThrottle(finished.outcome)
      if (asked !== null && options.throttleMaxMs > 0)
        destination.throttle(Math.min(asked.waitMs, options.throttleMaxMs), sentAt, asked.reason)
      failpoint(`${name}.sent`)
      const verdict = end.isAborted ? 'none' : finished.verdict
      destination.noteVerdict(verdict)
      settler.add({ ...finished, verdict })
    },
    drop: (claim, reason) => {
      const finished = endUnsent(claim, reason)
      tracing?.startAttempt(claim, name).end(finished.outcome)
      settler.add(finished)
    },
  })
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
      destination.noteStored(batch.map(({ verdict }) => verdict))
      // Others of its kind may wait for it to end.
      if (batch.some(({ claim }) => claim.isSlow)) waker.wake('slot')
      batch.forEach((finished, at) => {
        reportAttempt(lane, finished, answers[at] ?? 'stray', policy, metrics, logger)
        references.note(finished.outcome.reference, finished.transactionId, finished.attempt)
      })
    },
  })
  return { lane, settler, waker, behindSince: null }
}

/**
 * Gives no room while messages are due: new records must not overtake a backlog, which the lane's own looks work off. If the lane keeps
 * up, this waits for room, because an attempt that starts in the transaction that stores its message saves a claim. If the lane has not
 * kept up for a while, this does not wait until it does: storing records comes first. While the destination does not flow, or has a pace, there is no room.
 */
async function reserveFresh(
  parts: LaneParts,
  max: number,
  flows: boolean,
  signal: AbortSignal,
): Promise<Reservation> {
  const { lane, waker } = parts
  const wanted = Math.min(max, Math.ceil(lane.capacity / 2))
  const until = performance.now() + reserveWaitMs
  // Several partitions wait here at once, and the first to wake may have taken the room.
  while (flows && !noteKeepingUp(parts, wanted) && isPatient(parts) && !signal.aborted) {
    const restMs = until - performance.now()
    if (restMs <= 0) break
    await lane.waitToKeepUp(wanted, signal, restMs)
  }
  const reservation = lane.reserve(flows && lane.keepsUp(1) && !signal.aborted ? max : 0)
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
    loseAnswer: () => {
      reservation.loseAnswer()
      // The lane may be asleep. A lost answer brings no notification, so nothing else would wake it to adopt these attempts.
      waker.wake('reconnect')
    },
  }
}

function noteKeepingUp(parts: LaneParts, wanted: number): boolean {
  const keepsUp = parts.lane.keepsUp(wanted)
  parts.behindSince = keepsUp ? null : (parts.behindSince ?? performance.now())
  return keepsUp
}

function isPatient({ behindSince }: LaneParts): boolean {
  return behindSince === null || performance.now() - behindSince < patienceMs
}

async function finish(
  lanes: LaneParts[],
  options: DispatchOptions,
  end: End,
  graceMs: number,
): Promise<void> {
  await Promise.all(lanes.map(({ lane }) => lane.waitForEnd(graceMs)))
  for (const { lane } of lanes) lane.stop(stopping)
  if (lanes.some(({ lane }) => lane.open > 0)) {
    end.isAborted = true
    options.abortAll(stopping)
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
