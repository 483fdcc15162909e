import type { Pool } from 'pg'
import { abandon, findExpired, type Expired } from '../log/abandon.ts'
import { classifyFault } from '../log/fault.ts'
import { findUnlocked } from '../log/find-unlocked.ts'
import { decideAbandoned, type Decision, type RetryPolicy } from '../message/decide.ts'
import type { Lease } from '../log/lease.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Lane } from './lane.ts'
import type { Outage } from './outage.ts'

const batchMax = 500

/**
 * Ends attempts whose lease ended with no outcome: their instance crashed, froze or was cut off, and does not live. Whether the processor
 * carried them out nobody knows, so they are retried under the same idempotency key.
 *
 * @returns how many were abandoned
 */
export async function takeOver(options: {
  lane: Lane
  database: Pool
  outage: Outage
  policy: RetryPolicy
  metrics: Metrics
  logger: Logger
  isHeld: Lane['holds']
  /** Whether another instance may be alive, by what is heard of it. */
  mayLive: (instance: string) => boolean
  lookFrom: string
}): Promise<number> {
  const { lane, database, policy, metrics, logger } = options
  const lease = options.outage.lease()
  const found = await findExpired(database, lease, options.lookFrom, batchMax)
  const abandonments = found
    .filter((expired) => !options.isHeld(expired) && !isAlive(expired, options))
    .map((expired) => ({ expired, decision: decideAbandoned(expired.retries, expired.inARow, policy) }))
  if (abandonments.length === 0) return 0
  const ended = await abandonUnlocked(database, lane.actor, abandonments, lease)
  for (const { expired, decision } of ended) {
    metrics.attempts.inc({ lane: lane.name, outcome: 'abandoned' })
    const line = { transaction_id: expired.transactionId, attempt: expired.attempt, outcome: 'unknown' }
    if (decision.then === 'retry') {
      logger.warn(
        { ...line, retry: `${expired.retries + 1}/${policy.retriesMax}`, due_in_ms: decision.delayMs },
        'attempt abandoned',
      )
    } else {
      logger.warn({ ...line, reason: 'retries exhausted' }, 'dead letter')
    }
  }
  return ended.length
}

/** Nothing is taken from an instance that lives, whatever the database's clock says of its lease: it ends its attempts by itself. */
function isAlive(
  { holder, isListening }: Expired,
  { lane, mayLive }: { lane: Lane; mayLive: (instance: string) => boolean },
): boolean {
  const instance = instanceOf(holder)
  return isListening && instance !== instanceOf(lane.actor) && mayLive(instance)
}

function instanceOf(actor: string): string {
  return actor.slice(0, actor.lastIndexOf('/'))
}

type Abandonment = { expired: Expired; decision: Decision }

/** What an operator's session has locked is left for later, so that it does not keep the others. */
async function abandonUnlocked(
  database: Pool,
  actor: string,
  abandonments: readonly Abandonment[],
  lease: Lease,
): Promise<Abandonment[]> {
  const end = async (some: readonly Abandonment[]): Promise<Abandonment[]> => {
    const ended = await abandon(database, actor, some, lease)
    return some.filter((_, at) => ended[at] === true)
  }
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
