/**
 * A place in the order of the whole log: everything up to and including (position, message id, version) was read. The epoch
 * is the one the position belongs to, so that a log that was restored to an older state is told from the one it replaced.
 */
export type LogCursor = {
  readonly epoch: number
  /** A bigint as text, as is the message id: a JavaScript number would lose digits. */
  readonly position: string
  readonly messageId: string
  readonly version: number
}

/** Where the log is read from when there is no cursor. Every event lies above it. */
export const logStart: LogCursor = { epoch: 0, position: '0', messageId: '0', version: 0 }

/** Below 0, 0, or above 0, as `left` comes before, with or after `right` in the log. */
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
