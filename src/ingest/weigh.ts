import type { KafkaMessage } from 'kafkajs'
import { cutBytes } from './decode.ts'

/** About how many bytes a record adds to the statement that stores it. */
export function weigh(record: KafkaMessage, valueBytesMax: number): number {
  const valueBytes = record.value?.length ?? 0
  let bytes = (valueBytes > valueBytesMax ? cutBytes : valueBytes) + (record.key?.length ?? 0)
  for (const [name, value] of Object.entries(record.headers ?? {})) {
    const values = Array.isArray(value) ? value : [value]
    // kafkajs' types leave out that a header's value may be null. Base64 makes four bytes of three.
    for (const each of values)
      bytes += name.length + ((each as Buffer | null | undefined)?.length ?? 0) * (4 / 3)
  }
  return bytes
}
