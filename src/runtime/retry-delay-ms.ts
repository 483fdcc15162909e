/**
 * How long to wait before the next try of something that has failed so many times in a row, from 1: `firstMs`, and twice as long after
 * each further failure, at most `maxMs`. For our own loops; when a payment is sent again is decided by message/backoff.
 */
export function retryDelayMs(
  failures: number,
  { firstMs, maxMs }: { readonly firstMs: number; readonly maxMs: number },
): number {
  return Math.min(maxMs, firstMs * 2 ** (failures - 1))
}
