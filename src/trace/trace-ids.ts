import { hash } from 'node:crypto'

/**
 * The ids that a message has in traces, as lower-case hexadecimal digits. They are made from the transaction id, so that an attempt
 * hours later, of another instance or after a crash, names the span of its record without reading it from anywhere.
 *
 * @returns `traceId`: of a message whose record names no trace; `spanId`: of the span of its record
 */
export function traceIds(transactionId: string): { traceId: string; spanId: string } {
  const digest = hash('sha256', `trace of ${transactionId}`, 'hex')
  return { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) }
}
