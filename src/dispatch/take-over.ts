import type { Pool } from 'pg'
import { abandon, findExpired } from '../log/abandon.ts'
import { decideAbandoned, type RetryPolicy } from '../message/decide.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Lane } from './lane.ts'
import type { Outage } from './outage.ts'

const batchMax = 500

/**
 * Ends attempts whose lease ended with no outcome: their instance crashed, froze or was cut off. Whether the processor
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
  lookFrom: string
}): Promise<number> {
  const { lane, database, policy, metrics, logger } = options
  const lease = options.outage.lease()
  const found = await findExpired(database, lease, options.lookFrom, batchMax)
  const abandonments = found
    .filter((expired) => !options.isHeld(expired))
    .map((expired) => ({ expired, decision: decideAbandoned(expired.retries, expired.inARow, policy) }))
  if (abandonments.length === 0) return 0
  const ended = await abandon(database, lane.actor, abandonments, lease)
  abandonments.forEach(({ expired, decision }, at) => {
    if (ended[at] !== true) return
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
  })
  return ended.filter(Boolean).length
}
