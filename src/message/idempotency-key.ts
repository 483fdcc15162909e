import { hash } from 'node:crypto'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
const keyLength = 32

/**
 * The key that every attempt of a transaction carries: the first 32 characters of the lower-case base32 (RFC
 * 4648 §6) of the SHA-256 of the transaction id in UTF-8. It depends on the id alone, so it stays the same
 * across topics and releases.
 */
export function idempotencyKey(transactionId: string): string {
  const digest = hash('sha256', transactionId, 'buffer')
  let key = ''
  // Five bytes are eight characters of five bits; 32 characters take the first 20 bytes.
  for (let at = 0; key.length < keyLength; at += 5) {
    const high = digest.readUInt32BE(at)
    const low = digest.readUInt8(at + 4)
    key += character(high >>> 27) + character(high >>> 22) + character(high >>> 17) + character(high >>> 12)
    key +=
      character(high >>> 7) +
      character(high >>> 2) +
      character(((high & 3) << 3) | (low >>> 5)) +
      character(low)
  }
  return key
}

function character(bits: number): string {
  return alphabet.charAt(bits & 31)
}
