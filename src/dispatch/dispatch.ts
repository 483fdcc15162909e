import { setImmediate } from 'node:timers/promises'
import type { ServerWatch } from '../log/server/server-watch.ts'
import type { GuardPolicy } from '../log/write/advance-destination.ts'
import type { AttemptName } from '../log/write/to-claim.ts'
import { lanes as laneNames, type LaneName } from '../message/message.ts'
import { within } from '../runtime/within.ts'
import type { WakeCause } from '../wake/waker.ts'
import { createLane, type CreateLaneOptions, type LaneParts, type Shared } from './create-lane.ts'
import { Destination } from './destination.ts'
import { Ground } from './ground.ts'
import { inquire, type InquiryOptions } from './inquire.ts'
import type { Reservation } from './lane.ts'
import { Origins } from './origins.ts'
import { Outage } from './outage.ts'
import { References } from './references.ts'
import { reserveFresh } from './reserve-fresh.ts'
import { retainPayloads, type Retention } from './retain-payloads.ts'
import { Jobs } from './jobs.ts'
import { runLane, type LaneDependencies } from './run-lane.ts'
import { sweep } from './sweep.ts'
import { watchQueue } from './watch-queue.ts'

export type DispatchOptions = CreateLaneOptions & {
  server: Pick<ServerWatch, 'change' | 'see' | 'recognize'>
  /** How long the processor remembers an idempotency key; null for ever. */
  keyWindowMs: number | null
  /** How it is asked about messages in doubt; null if it cannot be. */
  inquiry: InquiryOptions | null
  /** The name of the destination, and when the guard holds it. */
  destination: string
  guard: GuardPolicy
  /** How long payloads are kept; null for ever. */
  retention: Retention | null
  /** Ends every open request now; see Deliverer. */
  abortAll: (reason: string) => void
  /** Whether another instance may be alive, by what is heard of it. */
  mayLive: (instance: string) => boolean
  /** performance.now() since when the LISTEN session has been up; null while it is down. */
  listenerUpSince: () => number | null
  /** How many messages a new segment of the log holds. */
  segmentMessages: number
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

const settleGraceMs = 1_500
const stopping = 'the service is stopping'

/** Starts the two lanes, fresh work and retries: one code path, room of their own, so that neither starves the other. */
export function dispatch(options: DispatchOptions): Dispatcher {
  const stop = new AbortController()
  const shared = createShared(options, () => lanes.forEach(noteDestination))
  const { ground, destination } = shared
  const lanes = laneNames.map((name) => createLane(name, options, shared))
  const fresh = partsOf(lanes, 'fresh')
  const loops = runLanes(lanes, options, shared, stop.signal)
  const jobs = new Jobs({ ...options, ground, room: options.limits.fresh })
  const watches = [
    jobs.run(stop.signal),
    sweep({ ...options, ...shared, lanes, jobs }, stop.signal),
    retainPayloads({ ...options, ground }, stop.signal),
    watchQueue(options, stop.signal),
  ]
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
    lanes: () => lanes.map(tell),
    destination: () => ({
      room: roomOf(destination, options.limits),
      limit: options.limits.fresh + options.limits.retry,
    }),
    drain: async (graceMs) => {
      const drainedAt = performance.now()
      stop.abort()
      // A loop may hang on a frozen database; what is open is finished all the same.
      await within(Promise.all([...loops, ...watches]), graceMs / 2)
      await finish(lanes, options, shared.end, graceMs - (performance.now() - drainedAt))
      await within(destination.stop(), settleGraceMs)
    },
  }
}

function createShared(options: DispatchOptions, onDestinationChange: () => void): Shared {
  const { instance, limits, database, metrics, logger } = options
  const outage = new Outage(options.leaseMs, options.timeoutMs, options.server)
  if (options.afterOutage) outage.begin()
  return {
    outage,
    ground: new Ground(database, logger),
    destination: new Destination({
      name: options.destination,
      database,
      actor: `${instance}/guard`,
      policy: options.guard,
      limitMax: Math.max(limits.fresh, limits.retry),
      logger,
      onChange: onDestinationChange,
    }),
    references: new References(metrics, logger),
    end: { isAborted: false },
  }
}

/** The loops of the lanes. What concerns the whole instance each of them asks of all. */
function runLanes(
  lanes: readonly LaneParts[],
  options: DispatchOptions,
  shared: Shared,
  signal: AbortSignal,
): Promise<void>[] {
  const dependencies = {
    ...options,
    ...shared,
    doubt: { keyWindowMs: options.keyWindowMs, inquires: options.inquiry !== null },
    inquire: createInquire(lanes, options, shared, signal),
    isBehind: () => lanes.some(({ settler }) => settler.behind),
    isHeld: (attempt: AttemptName) => lanes.some(({ lane }) => lane.holds(attempt)),
    countHeld: () => lanes.reduce((sum, { lane }) => sum + lane.open, 0),
  }
  return lanes.map(({ lane, waker }) => {
    const origins = options.tracing && new Origins(options.database)
    return runLane(lane, { ...dependencies, waker, origins }, signal)
  })
}

/** How a lane has the processor asked about a message in doubt, and what the lane learns of its end. */
function createInquire(
  lanes: readonly LaneParts[],
  options: DispatchOptions,
  { destination, references }: Shared,
  signal: AbortSignal,
): LaneDependencies['inquire'] {
  const { inquiry } = options
  if (inquiry === null) return () => undefined
  const dependencies = { ...options, ...inquiry, references, signal }
  return (lane, asked, claim) => {
    void inquire(lane, asked, claim, dependencies).then(() => {
      // It may have been the probe.
      if (destination.state !== 'flowing') destination.check()
      // Others of its kind may wait for it to end.
      if (asked.isSlow) partsOf(lanes, lane.name).waker.wake('slot')
    })
  }
}

function tell({ lane, settler }: LaneParts): ReturnType<Dispatcher['lanes']>[number] {
  return {
    lane: lane.name,
    inFlight: lane.sending,
    claimedAhead: lane.waiting,
    limit: lane.limit,
    // If the lane waits only because the settler does, the settler's reason says more.
    lastError: settler.lastError ?? lane.lastError,
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

async function finish(
  lanes: readonly LaneParts[],
  options: DispatchOptions,
  end: Shared['end'],
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

function partsOf(lanes: readonly LaneParts[], name: LaneName): LaneParts {
  const parts = lanes.find((each) => each.lane.name === name)
  if (parts === undefined) throw new Error(`no lane ${name}`)
  return parts
}
