import { pino, type DestinationStream, type Logger } from 'pino'
import { describeError } from './describe-error.ts'
import { LogDestination } from './log-destination.ts'
import { openStandardOutput } from './sink.ts'

export type { Logger }

/**
 * Structured logs, one JSON line a step, on standard output, gathered for at most 100 ms; the log in PostgreSQL is the record.
 *
 * @param onDrop is called for each line that is dropped, because the disk is full or nobody reads
 * @returns `exit` ends the process with what can be written within a second
 */
export function createLogger(
  level: string,
  onDrop: () => void,
): { logger: Logger; exit: (code: number) => Promise<never> } {
  const destination = new LogDestination(openStandardOutput(), {
    onDrop,
    onRoom: (lines) => logger.warn({ lines }, 'log lines were dropped'),
  })
  const logger = createLoggerTo(destination, level)
  process.on('exit', () => destination.flushSync())
  const exit = async (code: number): Promise<never> => {
    await destination.flush()
    // Node's own exit would wait for that write.
    if (destination.hangs) process.kill(process.pid, 'SIGKILL')
    process.exit(code)
  }
  return { logger, exit }
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
