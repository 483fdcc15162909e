import type { Pool } from 'pg'
import { findOldestTransaction } from '../log/write/find-oldest-transaction.ts'
import { findOpenAttempts } from '../log/write/find-open-attempts.ts'
import type { Logger } from '../runtime/logger.ts'
import { sleptMs } from '../runtime/slept-ms.ts'
import type { Lane } from './lane.ts'

/**
 * After the answer of a COMMIT was lost: takes up the attempts that stand open in the log under this lane's name and that it
 * does not hold. None of them was sent, because only a lane that holds an attempt sends it. Their lease
 * counts from their start in the log; near its end they are not sent any more.
 *
 * The log and the lane are read at different times, so an attempt could look like an orphan and be none. Two things prevent that. This
 * first waits for the lane's transactions under way: their attempts are in the log before the lane hears of them. (A lane that waits for its
 * lost answers begins no other transactions.) And it leaves out what the lane held before the log was read: that may have been settled since.
 */
export async function adopt(lane: Lane, database: Pool, logger: Logger, signal: AbortSignal): Promise<void> {
  await lane.waitForAnswers(signal)
  if (signal.aborted) return
  const wasHeld = lane.remember()
  const askedAt = performance.now()
  const slept = sleptMs()
  // In this order: what does not run any more is visible to the second query.
  const oldestMs = await findOldestTransaction(database)
  const open = await findOpenAttempts(database, lane.actor)
  const waitedMs = performance.now() - askedAt
  const orphans = open.filter(({ claim }) => !wasHeld(claim))
  const answeredAt = performance.now()
  for (const { claim, startedMsAgo } of orphans)
    lane.start([claim], answeredAt - startedMsAgo - waitedMs, undefined, slept)
  if (orphans.length > 0) {
    logger.warn(
      { lane: lane.name, attempts: orphans.length },
      'took up attempts whose commit was not confirmed',
    )
  }
  lane.dropUnanswered(askedAt, oldestMs)
}
