import { createRequire } from 'node:module'

// The versions of Fetch that kafkajs 2.2.4 speaks and whose answer carries record batches as Kafka 0.11 and later write them.
const versions = [4, 5, 6, 7, 8, 9, 10, 11]

/**
 * Puts another decoder of fetch answers into the place of kafkajs', which has no setting for it. Rests on its exact pin, and
 * holds for the whole process.
 *
 * @param wrap answers what takes the place of a version's decoder
 */
export function wrapDecoder<Answer>(
  wrap: (decode: (raw: Buffer) => Promise<Answer>, version: number) => (raw: Buffer) => Promise<Answer>,
): void {
  const load = createRequire(import.meta.url)
  for (const version of versions) {
    // kafkajs looks `decode` up on this object at every answer.
    const response = load(`kafkajs/src/protocol/requests/fetch/v${version}/response.js`) as {
      decode: (raw: Buffer) => Promise<Answer>
    }
    response.decode = wrap(response.decode, version)
  }
}
