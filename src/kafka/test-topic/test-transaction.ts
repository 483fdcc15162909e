import { createHash } from 'node:crypto'

const currencies = ['EUR', 'USD', 'GBP', 'CHF', 'JPY', 'SEK'] as const
const firstTimestampMs = Date.UTC(2024, 0, 1)
const yearMs = 366 * 24 * 60 * 60 * 1000

/**
 * The bytes of a test transaction, in the record shape of the founding load test. They depend on the id
 * alone: the same id again is a duplicate, never a conflict.
 */
export function testTransaction(id: string): Buffer {
  const hash = createHash('sha256').update(id).digest()
  return Buffer.from(
    JSON.stringify({
      transaction_id: id,
      user_id: `user-${1 + (hash.readUInt32BE(0) % 10_000)}`,
      amount: (1 + (hash.readUInt32BE(4) % 1_000_000)) / 100,
      currency: currencies[hash.readUInt32BE(8) % currencies.length],
      timestamp: new Date(firstTimestampMs + (hash.readUIntBE(12, 6) % yearMs)).toISOString(),
      source: 'load-test',
    }),
  )
}
