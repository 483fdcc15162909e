import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { idempotencyKey } from '../../src/message/idempotency-key.ts'

t.test('the key of tx-1 is what the contract says', async (t) => {
  t.equal(idempotencyKey('tx-1'), 'arpplfgyduxscngwcfi624jgbwhxtzsx')
})

/** RFC 4648 §6 bit by bit, to hold the fast form against. */
function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const groups = bits.match(/.{5}/g) ?? []
  return groups.map((group) => 'abcdefghijklmnopqrstuvwxyz234567'.charAt(Number.parseInt(group, 2))).join('')
}

t.test('the plain form agrees with the test vectors of RFC 4648', async (t) => {
  t.equal(base32(Buffer.from('fooba')), 'mzxw6ytb')
})

t.test('any key is the first 32 characters of the base32 of SHA-256 of the id in UTF-8', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (id) => {
      const digest = createHash('sha256').update(Buffer.from(id, 'utf8')).digest()
      return idempotencyKey(id) === base32(digest.subarray(0, 20))
    }),
  )
})
