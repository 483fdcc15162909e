import type { Pool } from 'pg'
import { explainQueue, relieveQueue, usageHigh, type NotifyQueue } from '../log/server/relieve-queue.ts'
import type { Logger } from '../runtime/logger.ts'
import { wait } from '../runtime/wait.ts'

const everyMs = 5_000
const sweepEveryMs = 60_000

/**
 * Looks after PostgreSQL's queue of notifications: once a minute, and every five seconds while the LISTEN session is down, which
 * a full queue takes with it. To ask is what empties it once its holder is gone; nobody else would, and no event could be
 * appended for ever.
 */
export async function watchQueue(
  {
    database,
    listenerUpSince,
    logger,
  }: { database: Pool; listenerUpSince: () => number | null; logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  let askedAt = performance.now()
  let isTold = false
  while (await wait(everyMs, signal)) {
    if (listenerUpSince() !== null && performance.now() - askedAt < sweepEveryMs) continue
    askedAt = performance.now()
    try {
      const queue = await relieveQueue(database)
      const isHigh = queue.usage >= usageHigh
      if (isHigh && !isTold) tellQueue(queue, logger)
      isTold = isHigh
    } catch {
      // Whoever has work for the database tells that it is away.
    }
  }
}

function tellQueue(queue: NotifyQueue, logger: Logger): void {
  const { openSeconds: open_seconds, ...holder } = queue.holder ?? {}
  logger.error({ ...holder, open_seconds, reason: explainQueue(queue) }, 'notifications pile up')
}
