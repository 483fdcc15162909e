/** The longest reason and name of an operator, and the longest name that a caller gives a request. */
export const reasonBytesMax = 2_048
/** The longest evidence that an operator may give for a resolution. */
export const evidenceBytesMax = 2_048
export const operatorBytesMax = 128
export const requestKeyBytesMax = 128

/**
 * Whether the value is text that fits on one line of a log or a screen: no control characters, and no half
 * surrogate pairs.
 */
export function isLine(value: unknown, bytesMax: number): value is string {
  return (
    typeof value === 'string' &&
    value.trim() !== '' &&
    Buffer.byteLength(value) <= bytesMax &&
    !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u.test(value)
  )
}
