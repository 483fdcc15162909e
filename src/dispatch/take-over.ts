import type { Pool } from 'pg'
import { classifyFault } from '../log/server/fault.ts'
import { abandon, findExpired, type Expired } from '../log/write/abandon.ts'
import { findUnlocked } from '../log/write/find-unlocked.ts'
import type { Lease } from '../log/write/lease.ts'
import { decideAbandoned, retryDelayOf, type Decision, type RetryPolicy } from '../message/decide.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import type { Lane } from './lane.ts'
import type { Outage } from './outage.ts'

const batchMax = 500

type TakeOverOptions = {
  lane: Lane
  database: Pool
  outage: Outage
  policy: RetryPolicy
  metrics: Metrics
  logger: Logger
  isHeld: Lane['holds']
  /** How many attempts this instance holds. */
  countHeld: () => number
  /** Whether another instance may be alive, by what is heard of it. */
  mayLive: (instance: string) => boolean
  lookFrom: string
}

/**
 * Ends attempts whose lease ended with no outcome: their instance crashed, froze or was cut off, and does not live. Whether
 * the processor carried them out nobody knows, so they are retried under the same idempotency key. One that the log does not
 * take, for a fault of its own, is left as it is, and the others are ended.
 *
 * @returns how many were abandoned, and why the log did not take the rest
 */
export async function takeOver(
  options: TakeOverOptions,
): Promise<{ taken: number; refusal: Refusal | null }> {
  const { lane, database, policy, metrics, logger } = options
  const lease = options.outage.lease()
  const found = await findForsaken(options, lease)
  const abandonments = found.map((expired) => ({
    expired,
    decision: decideAbandoned(expired.retries, expired.inARow, policy),
  }))
  if (abandonments.length === 0) return { taken: 0, refusal: null }
  const { ended, refusal } = await abandonUnlocked(database, lane.actor, abandonments, lease)
  for (const { expired, decision, isSpared } of ended) {
    metrics.attempts.inc({ lane: lane.name, outcome: 'abandoned' })
    const line = { transaction_id: expired.transactionId, attempt: expired.attempt, outcome: 'unknown' }
    const delayMs = retryDelayOf(decision, isSpared)
    if (delayMs !== null) {
      const retries = expired.retries + (isSpared ? 0 : 1)
      logger.warn(
        { ...line, retry: `${retries}/${policy.retriesMax}`, due_in_ms: delayMs },
        'attempt abandoned',
      )
    } else {
      logger.warn({ ...line, reason: 'retries exhausted' }, 'dead letter')
    }
  }
  return { taken: ended.length, refusal }
}

/**
 * The attempts to end, oldest first. After a step of the database's clock the attempts of living instances may fill the whole answer. Then
 * the database is asked again, without those instances.
 */
async function findForsaken(options: TakeOverOptions, lease: Lease): Promise<Expired[]> {
  // What this instance holds fills no answer either.
  const rowsMax = batchMax + options.countHeld()
  const alive = new Set<string>()
  for (;;) {
    const found = await findExpired(options.database, lease, options.lookFrom, rowsMax, [...alive])
    const before = alive.size
    for (const expired of found) if (isAlive(expired, options)) alive.add(instanceOf(expired.holder))
    const forsaken = found.filter(({ holder }) => !alive.has(instanceOf(holder)))
    const free = forsaken.filter((expired) => !options.isHeld(expired))
    if (free.length > 0 || found.length < rowsMax || alive.size === before) return free.slice(0, batchMax)
  }
}

/** Nothing is taken from an instance that lives, whatever the database's clock says of its lease: it ends its attempts by itself. */
function isAlive({ holder, isListening }: Expired, { lane, mayLive }: TakeOverOptions): boolean {
  const instance = instanceOf(holder)
  return isListening && instance !== instanceOf(lane.actor) && mayLive(instance)
}

function instanceOf(actor: string): string {
  return actor.slice(0, actor.lastIndexOf('/'))
}

type Abandonment = { expired: Expired; decision: Decision }
type Ended = { ended: (Abandonment & { isSpared: boolean })[]; refusal: Refusal | null }

/** Of one attempt whose end the log does not take. The reason names no transaction. */
export type Refusal = { readonly transactionId: string; readonly attempt: number; readonly reason: string }

/** What an operator's session has locked is left for later, so that it does not keep the others. */
async function abandonUnlocked(
  database: Pool,
  actor: string,
  abandonments: readonly Abandonment[],
  lease: Lease,
): Promise<Ended> {
  const end = (some: readonly Abandonment[]): Promise<Ended> => abandonTaken(database, actor, some, lease)
  try {
    return await end(abandonments)
  } catch (error) {
    if (classifyFault(error) !== 'locked') throw error
    const free = await findUnlocked(
      database,
      abandonments.map(({ expired }) => expired.messageId),
    )
    return end(abandonments.filter(({ expired }) => free.has(expired.messageId)))
  }
}

/** What the log does not take is found by halving. */
async function abandonTaken(
  database: Pool,
  actor: string,
  some: readonly Abandonment[],
  lease: Lease,
): Promise<Ended> {
  try {
    const answers = await abandon(database, actor, some, lease)
    const ended = some.flatMap((each, at) =>
      answers[at] === 'stale' ? [] : [{ ...each, isSpared: answers[at] === 'spared' }],
    )
    return { ended, refusal: null }
  } catch (error) {
    if (classifyFault(error) !== 'broken') throw error
    const [only, ...more] = some
    if (only === undefined) throw error
    if (more.length === 0) {
      const { transactionId, attempt } = only.expired
      const reason = `the log does not take the end of an attempt: ${reasonOf(error)}`
      return { ended: [], refusal: { transactionId, attempt, reason } }
    }
    const half = Math.ceil(some.length / 2)
    const first = await abandonTaken(database, actor, some.slice(0, half), lease)
    const second = await abandonTaken(database, actor, some.slice(half), lease)
    return { ended: [...first.ended, ...second.ended], refusal: first.refusal ?? second.refusal }
  }
}
