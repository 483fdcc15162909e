/** How long a replay's reason may be, and the name that its caller gives the request. */
export const reasonBytesMax = 2_048
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
