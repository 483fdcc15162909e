import type { Pool } from 'pg'
import { readClockOffset } from '../log/read/read-clock-offset.ts'
import { expungeAged } from '../log/write/expunge-aged.ts'
import type { Failpoint } from '../runtime/failpoint.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { wait } from '../runtime/wait.ts'
import type { Ground } from './ground.ts'

/** How long payloads are kept after the last change of their message. */
export type Retention = {
  readonly retainMs: number
  /** RETAIN_PAYLOAD as it was set; the events quote it. */
  readonly text: string
}

const everyMsMin = 1_000
const everyMsMax = 60_000
const eventsMax = 1_000

/**
 * Expunges what has been a success or a dead letter for longer than RETAIN_PAYLOAD, once a minute, and more often where it is shorter
 * than that. It goes piece by piece, each in a transaction of its own, and rests after each piece for as long as the piece took: so
 * a backlog takes at most half of one connection.
 *
 * What is expunged cannot be had back. So it must be old enough by both clocks, PostgreSQL's and that of this process: one of them that has
 * stepped forward makes nothing old.
 */
export async function retainPayloads(
  options: {
    database: Pool
    instance: string
    retention: Retention | null
    ground: Pick<Ground, 'fault'>
    logger: Logger
    failpoint: Failpoint
  },
  signal: AbortSignal,
): Promise<void> {
  const { database, instance, retention, ground, logger, failpoint } = options
  if (retention === null) return
  const { retainMs, text } = retention
  const request = { actor: `${instance}/retention`, reason: `RETAIN_PAYLOAD: ${text}` }
  const everyMs = Math.min(Math.max(retainMs, everyMsMin), everyMsMax)
  // Large payloads take long to remove: a piece that a timeout ended is tried again with fewer events.
  let events = eventsMax
  while (await wait(everyMs, signal)) {
    if (ground.fault !== null) continue
    let messages = 0
    let toldAt = performance.now()
    const tell = (held: number): void => {
      if (messages > 0 || held > 0) logger.info({ messages, held }, 'payloads expunged')
      messages = 0
      toldAt = performance.now()
    }
    try {
      for (;;) {
        const begunAt = performance.now()
        const aheadMs = Math.max(0, 1_000 * (await readClockOffset(database)))
        const piece = await expungeAged(
          database,
          { ...request, retainMs: Math.ceil(retainMs + aheadMs) },
          events,
        )
        messages += piece.expunged
        events = Math.min(events * 2, eventsMax)
        if (piece.expunged > 0) failpoint('retention.after_piece')
        if (!piece.more || performance.now() - toldAt > everyMsMax) tell(piece.held)
        if (!piece.more || !(await wait(performance.now() - begunAt, signal))) break
      }
    } catch (error) {
      events = Math.max(Math.floor(events / 4), 1)
      logger.warn({ reason: reasonOf(error) }, 'retention failed')
    }
  }
}
