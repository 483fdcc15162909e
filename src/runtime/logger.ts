import { pino, type DestinationStream, type Logger } from 'pino'
import { describeError } from './describe-error.ts'

export type { Logger }

/**
 * Structured logs, one JSON line a step, on standard output. Lines are gathered for at most 100 ms and 4 KiB, because a
 * write for each attempt costs as much as the attempt's share of the database; the log in PostgreSQL is the record.
 */
export function createLogger(level: string): { logger: Logger; flush: () => void } {
  const destination = pino.destination({ dest: 1, sync: false, minLength: 4096, periodicFlush: 100 })
  return { logger: createLoggerTo(destination, level), flush: () => destination.flushSync() }
}

export function createLoggerTo(destination: DestinationStream, level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: 'event',
      serializers: { err: describeError },
      hooks: { streamWrite: escapeUnclean },
    },
    destination,
  )
}

// What JSON leaves as it is and a terminal obeys all the same: DEL, C1, other line ends, and what reverses a line's order.
const unclean = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** The same JSON with these characters written by their number, wherever they came from: an id in a URL may hold any. */
function escapeUnclean(line: string): string {
  return line.replace(unclean, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
