import { createHash } from 'node:crypto'
import { decode } from '../src/ingest/decode.ts'
import { testTransaction } from '../src/kafka/test-topic/test-transaction.ts'
import type { DecodedRecord } from '../src/log/write/ingest.ts'

/** What ingest makes of a record that `npm run produce` would send. */
export function makeRecord(topic: string, offset: number): DecodedRecord {
  const id = createHash('md5').update(String(offset)).digest('hex')
  const record = {
    key: Buffer.from(id),
    value: testTransaction(id),
    timestamp: String(Date.now()),
    attributes: 0,
    offset: String(offset),
  }
  return decode(record, topic, 0, 1024 * 1024)
}
