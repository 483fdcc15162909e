/**
 * A place in the order of the whole log: everything up to and including (position, message id, version) was read. The epoch is
 * the one that the position belongs to. By it a log that was restored to an older state differs from the one that it replaced.
 */
export type LogCursor = {
  readonly epoch: number
  /** A bigint as text, like the message id: a JavaScript number would lose digits. */
  readonly position: string
  readonly messageId: string
  readonly version: number
  /**
   * How many segments were archived when this cursor was handed out. By it a reader that began after an archive differs from one
   * that would miss what was archived since. It does not count in the order of cursors.
   */
  readonly archives: number
}

/** SQL for the `archives` of a cursor that is handed out now. */
export const archivesNow = '(select count(*) from segment_archives)::int'

/** Where reading begins without a cursor. Every event lies after it. */
export const logStart: LogCursor = { epoch: 0, position: '0', messageId: '0', version: 0, archives: 0 }

/** Returns a number below 0, 0, or above 0: `left` comes before `right` in the log, is the same place, or comes after it. */
export function compareCursors(left: LogCursor, right: LogCursor): number {
  return (
    compareIntegers(left.position, right.position) ||
    compareIntegers(left.messageId, right.messageId) ||
    left.version - right.version
  )
}

function compareIntegers(left: string, right: string): number {
  const [a, b] = [BigInt(left), BigInt(right)]
  return a < b ? -1 : a > b ? 1 : 0
}
