import type { BytesKind } from '../../accesses/bytes-read.ts'
import type { GraphContext } from '../create-context.ts'
import { requireInvestigator } from '../require-role.ts'

const names: Readonly<Record<BytesKind, string>> = {
  payload: 'payloads',
  key: 'the keys of records',
  headers: 'the values of headers',
}

/**
 * Reads bytes that Kafka handed over, for one who may see them, and notes whose they are, so that it is recorded before the answer leaves.
 *
 * @param read null where there are none
 * @throws FORBIDDEN
 */
export async function seeBytes<Bytes>(
  kind: BytesKind,
  transactionId: string,
  context: GraphContext,
  read: () => Promise<Bytes | null> | Bytes | null,
): Promise<Bytes | null> {
  requireInvestigator(names[kind], context)
  const bytes = await read()
  if (bytes !== null) context.bytesRead.note(transactionId, kind)
  return bytes
}
