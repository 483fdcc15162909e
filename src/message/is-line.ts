/** How long an operator's reason and name may be, and the name that a caller gives a request. */
export const reasonBytesMax = 2_048
export const operatorBytesMax = 128
export const requestKeyBytesMax = 128

/** Text that can stand in the log and be shown on one line: no control characters, and no halves of surrogate pairs. */
export function isLine(value: unknown, bytesMax: number): value is string {
  return (
    typeof value === 'string' &&
    value.trim() !== '' &&
    Buffer.byteLength(value) <= bytesMax &&
    !/[\p{Cc}\p{Cs}]/u.test(value)
  )
}
