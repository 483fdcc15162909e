import type { Pool } from 'pg'
import { findOldestTransaction } from '../log/write/find-oldest-transaction.ts'
import { findOpenAttempts } from '../log/write/find-open-attempts.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Lane } from './lane.ts'

/**
 * After the answer of a COMMIT was lost: takes up the attempts that stand open in the log under this lane's name and that it
 * does not hold. Nothing of them can have left, because only who holds an attempt sends it; the deadline is still the
 * one that started before their claim, and past it they end as not sent.
 *
 * An attempt must not be taken for one of those because the log and the lane were read at different times. So it waits for
 * the transactions under way, whose attempts are in the log before the lane hears of them; a doubtful lane begins no others. And
 * what the lane held before the log was read may have been settled since.
 */
export async function adopt(lane: Lane, database: Pool, logger: Logger, signal: AbortSignal): Promise<void> {
  await lane.waitForAnswers(signal)
  if (signal.aborted) return
  const wasHeld = lane.remember()
  const askedAt = performance.now()
  // In this order: what does not run any more is visible to the second query.
  const oldestMs = await findOldestTransaction(database)
  const open = await findOpenAttempts(database, lane.actor)
  const waitedMs = performance.now() - askedAt
  const orphans = open.filter(({ claim }) => !wasHeld(claim))
  for (const { claim, startedMsAgo } of orphans) lane.start([claim], lane.deadlineAt(startedMsAgo + waitedMs))
  if (orphans.length > 0) {
    logger.warn(
      { lane: lane.name, attempts: orphans.length },
      'took up attempts whose commit was not confirmed',
    )
  }
  lane.dropDoubts(askedAt, oldestMs)
}
