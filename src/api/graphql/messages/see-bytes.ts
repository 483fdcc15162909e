import { may } from '../../access.ts'
import type { BytesKind } from '../../accesses/bytes-read.ts'
import type { GraphContext } from '../context.ts'
import { refuse } from '../errors.ts'

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
  { viewer, bytesRead }: GraphContext,
  read: () => Promise<Bytes | null> | Bytes | null,
): Promise<Bytes | null> {
  if (!may(viewer, 'investigator')) {
    bytesRead.isRefused = true
    throw refuse(
      'FORBIDDEN',
      `Only an investigator or an operator may see ${names[kind]}, and ${viewer.name} is a ${viewer.role}.`,
    )
  }
  const bytes = await read()
  if (bytes !== null) bytesRead.note(transactionId, kind)
  return bytes
}
