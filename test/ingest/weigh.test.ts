import type { KafkaMessage } from 'kafkajs'
import t from 'tap'
import { cutBytes } from '../../src/ingest/decode.ts'
import { weigh } from '../../src/ingest/weigh.ts'

const record = (fields: object): KafkaMessage =>
  ({ key: null, value: null, headers: {}, ...fields }) as unknown as KafkaMessage

t.test('a record weighs what is stored of it', async (t) => {
  t.equal(weigh(record({}), 1_000), 0)
  t.equal(weigh(record({ value: Buffer.alloc(900), key: Buffer.alloc(50) }), 1_000), 950)
  t.equal(weigh(record({ value: Buffer.alloc(2_000_000) }), 1_000), cutBytes, 'over the limit it is cut')
  const headers = { one: Buffer.alloc(30), two: [Buffer.alloc(3), null], three: null }
  t.equal(weigh(record({ headers }), 1_000), 3 + 40 + 3 + 4 + 3 + 5 + 4 * 10)
})
