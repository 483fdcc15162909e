import { pino, type Logger } from 'pino'

export type { Logger }

/**
 * Structured logs, one JSON line a step, on standard output. Lines are gathered for at most 100 ms and 4 KiB, because a
 * write for each attempt costs as much as the attempt's share of the database; the log in PostgreSQL is the record.
 */
export function createLogger(level: string): { logger: Logger; flush: () => void } {
  const destination = pino.destination({ dest: 1, sync: false, minLength: 4096, periodicFlush: 100 })
  const logger = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'event' },
    destination,
  )
  return { logger, flush: () => destination.flushSync() }
}
