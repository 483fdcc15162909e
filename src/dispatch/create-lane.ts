import type { Pool } from 'pg'
import type { Claim } from '../log/write/to-claim.ts'
import type { LaneName } from '../message/message.ts'
import { readThrottle } from '../message/read-throttle.ts'
import type { Metrics } from '../metrics.ts'
import type { Failpoint } from '../runtime/failpoint.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Tracing } from '../trace/tracing.ts'
import { Waker } from '../wake/waker.ts'
import type { Destination } from './destination.ts'
import type { Ground } from './ground.ts'
import { Lane } from './lane.ts'
import { endUnsent, makeAttempt, reportAttempt, type AttemptPolicy, type Deliver } from './make-attempt.ts'
import type { Outage } from './outage.ts'
import type { References } from './references.ts'
import { Settler } from './settler.ts'
import type { Finished } from './outcome-store.ts'

export type CreateLaneOptions = {
  database: Pool
  instance: string
  limits: Readonly<Record<LaneName, number>>
  leaseMs: number
  timeoutMs: number
  policy: AttemptPolicy
  /** The longest that all wait at once for a processor that asks for less; 0 if none does. */
  throttleMaxMs: number
  deliver: Deliver
  /** Null if traces are off. */
  tracing: Tracing | null
  metrics: Metrics
  logger: Logger
  failpoint: Failpoint
}

/** What the lanes of an instance have in common. */
export type Shared = {
  readonly outage: Outage
  readonly ground: Ground
  readonly destination: Destination
  readonly references: References
  /** Whether the requests that are still open were ended by the stop: that says nothing of the destination. */
  readonly end: { isAborted: boolean }
}

/** A lane with what works for it. */
export type LaneParts = {
  lane: Lane
  settler: Settler
  waker: Waker
  /** performance.now() since when no slice has found the lane keeping up; null if the last one did. */
  behindSince: number | null
}

export function createLane(name: LaneName, options: CreateLaneOptions, shared: Shared): LaneParts {
  const { tracing, failpoint } = options
  const waker = new Waker()
  const lane = new Lane({
    name,
    instance: options.instance,
    limit: options.limits[name],
    leaseMs: options.leaseMs,
    timeoutMs: options.timeoutMs,
    destination: shared.destination,
    send: createSend(name, options, shared, (finished) => settler.add(finished)),
    drop: (claim, reason) => {
      const finished = endUnsent(claim, reason)
      tracing?.startAttempt(claim, name).end(finished.outcome)
      settler.add(finished)
    },
  })
  const settler = new Settler({
    database: options.database,
    actor: lane.actor,
    logger: options.logger,
    openCount: () => lane.open,
    onOutage: () => shared.outage.begin(),
    beforeStore: () => failpoint(`${name}.before_outcome`),
    onSettled: (batch, answers) => {
      failpoint(`${name}.after_outcome`)
      lane.close(batch)
      shared.destination.noteStored(batch.map(({ verdict }) => verdict))
      // Others of its kind may wait for it to end.
      if (batch.some(({ claim }) => claim.isSlow)) waker.wake('slot')
      batch.forEach((finished, at) => {
        reportAttempt(name, finished, answers[at] ?? 'stray', options)
        shared.references.note(finished.outcome.reference, finished.transactionId, finished.attempt)
      })
    },
  })
  return { lane, settler, waker, behindSince: null }
}

/** How a lane sends what it has claimed, and what the destination learns of it at once. */
function createSend(
  name: LaneName,
  { deliver, policy, timeoutMs, throttleMaxMs, tracing, failpoint }: CreateLaneOptions,
  { destination, end }: Shared,
  settle: (finished: Finished) => void,
): (claim: Claim, deadlineAt: number, waitedMs: number) => Promise<void> {
  const startSpan = (claim: Claim) => tracing?.startAttempt(claim, name) ?? null
  const options = { deliver, policy, timeoutMs, startSpan }
  return async (claim, deadlineAt, waitedMs) => {
    const sentAt = performance.now()
    destination.noteSent()
    const finished = await makeAttempt(claim, deadlineAt, waitedMs, options)
    const asked = readThrottle(finished.outcome)
    if (asked !== null && throttleMaxMs > 0)
      destination.throttle(Math.min(asked.waitMs, throttleMaxMs), sentAt, asked.reason)
    failpoint(`${name}.sent`)
    const verdict = end.isAborted ? 'none' : finished.verdict
    destination.noteVerdict(verdict)
    settle({ ...finished, verdict })
  }
}
