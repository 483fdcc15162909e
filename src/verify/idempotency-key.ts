import { hash } from 'node:crypto'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
const keyForm = /^[a-z2-7]{32}$/

/** A key is the first 160 bits of the identity's digest, as base32 characters. */
const keyBytes = 20

/** Returns the SHA-256 of an identity's UTF-8 bytes. */
export function digest(transactionId: string): Buffer {
  return hash('sha256', transactionId, 'buffer')
}

/**
 * Returns the key of a digest: the first 32 characters of its lower-case base32 (RFC 4648 §6). The rule is in
 * docs/decisions/0005-at-least-once.md.
 */
export function encodeKey(digest: Buffer): string {
  let key = ''
  let bits = 0
  let held = 0
  for (const byte of digest.subarray(0, keyBytes)) {
    held = ((held << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      key += alphabet.charAt((held >> bits) & 31)
    }
  }
  return key
}

/** Returns the 20 bytes that a key stands for; null if the text is no key. */
export function decodeKey(key: string): Buffer | null {
  if (!keyForm.test(key)) return null
  const bytes = Buffer.alloc(keyBytes)
  let bits = 0
  let held = 0
  let at = 0
  for (const character of key) {
    held = ((held << 5) | alphabet.indexOf(character)) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes[at++] = held >> bits
  }
  return bytes
}

/** Keys that this code did not make: one that users are told, and two made with openssl and base32. */
export const knownKeys: readonly (readonly [transactionId: string, key: string])[] = [
  ['tx-1', 'arpplfgyduxscngwcfi624jgbwhxtzsx'],
  ['', '4oymiquy7qobjgx36tejs35zeqt24qpe'],
  ['Überweisung-№1', 'lbumlueonvyoaqfznc42j7mdfl3b2ob2'],
]
