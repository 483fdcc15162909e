import type { FetchedRecord } from '../kafka/answer/read-records.ts'
import { pairHeaders } from '../kafka/read-headers.ts'
import { cutBytes } from './decode.ts'

// Brackets, quotes, commas, null.
const headerFrameBytes = 10

/** About how many bytes a record adds to the statement that stores it. */
export function weigh(record: FetchedRecord, valueBytesMax: number): number {
  const valueBytes = record.value?.length ?? 0
  let bytes = (valueBytes > valueBytesMax ? cutBytes : valueBytes) + (record.key?.length ?? 0)
  for (const [name, value] of pairHeaders(record.headers)) {
    // Base64 turns three bytes into four.
    bytes += headerFrameBytes + name.length + (value?.length ?? 0) * (4 / 3)
  }
  return bytes
}
