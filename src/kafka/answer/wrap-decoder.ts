import { createRequire } from 'node:module'

// The versions of Fetch that kafkajs 2.2.4 speaks and whose answers hold record batches in the format of
// Kafka 0.11 and later.
const versions = [4, 5, 6, 7, 8, 9, 10, 11]

/**
 * Replaces kafkajs' decoder of fetch answers; kafkajs has no setting for it. Depends on its exact pin, and
 * applies to the whole process.
 *
 * @param wrap returns the replacement for a version's decoder
 */
export function wrapDecoder<Answer>(
  wrap: (decode: (raw: Buffer) => Promise<Answer>, version: number) => (raw: Buffer) => Promise<Answer>,
): void {
  const load = createRequire(import.meta.url)
  for (const version of versions) {
    // kafkajs reads `decode` from this object for every answer.
    const response = load(`kafkajs/src/protocol/requests/fetch/v${version}/response.js`) as {
      decode: (raw: Buffer) => Promise<Answer>
    }
    response.decode = wrap(response.decode, version)
  }
}
