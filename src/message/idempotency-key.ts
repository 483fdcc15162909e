import { hash } from 'node:crypto'

const alphabet = Array.from('abcdefghijklmnopqrstuvwxyz234567')
/** The two characters of ten bits. */
const pairs = alphabet.flatMap((first) => alphabet.map((second) => first + second))
const keyBytes = 20

/**
 * The key that every attempt of a transaction carries: the first 32 characters of the lower-case base32 (RFC
 * 4648 §6) of the SHA-256 of the transaction id in UTF-8. It depends on the id alone, so it stays the same
 * across topics and releases.
 */
export function idempotencyKey(transactionId: string): string {
  const digest = hash('sha256', transactionId, 'buffer')
  let key = ''
  // Five bytes are eight characters of five bits.
  for (let at = 0; at < keyBytes; at += 5) {
    const high = digest.readUInt32BE(at)
    const low = digest.readUInt8(at + 4)
    key += pairOf(high >>> 22) + pairOf(high >>> 12) + pairOf(high >>> 2) + pairOf((high << 8) | low)
  }
  return key
}

function pairOf(bits: number): string {
  return pairs[bits & 1023] ?? ''
}
