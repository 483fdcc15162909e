import type { Pool } from 'pg'
import type { Status } from '../../message/message.ts'
import { findArchived } from '../read/find-archived.ts'
import { isStorable } from '../read/is-storable.ts'
import { namedCall } from './named-call.ts'

export type ExpungeRequest = {
  transactionId: string
  /** Who asks, and why. Both stay in the log for ever. */
  actor: string
  reason: string
}

export type ExpungeAnswer =
  /** `already`: the bytes were gone before. `version` is of the `expunged` event. */
  | { kind: 'expunged' | 'already'; version: number; status: Status }
  /** An attempt is open or may follow, and needs the bytes. */
  | { kind: 'open'; status: Status }
  /** The message is in this archive, and its bytes too: the operator has to remove them there. */
  | { kind: 'archived'; archive: string }
  | { kind: 'unknown' }

/**
 * Takes the bytes, the key and the headers of a message's records out of the log for good. Its events, hashes and sizes stay. It is
 * done once, so the same request can safely be sent again.
 *
 * @throws what pg throws; if the connection was lost, the message may have been expunged all the same
 */
export async function expunge(
  database: Pick<Pool, 'query'>,
  { transactionId, actor, reason }: ExpungeRequest,
): Promise<ExpungeAnswer> {
  // No message has such an id.
  if (!isStorable(transactionId)) return { kind: 'unknown' }
  const call = namedCall('expunge', {
    in_transaction_ids: [transactionId],
    in_actor: actor,
    in_reason: reason,
  })
  const { rows } = await database.query<ExpungeRow>({
    name: 'expunge',
    text: `select answer, version, status from ${call.text}`,
    values: call.values,
  })
  const [row] = rows
  if (row === undefined) throw new Error('expunge() answers a row for each id')
  switch (row.answer) {
    case 'expunged':
    case 'already':
      return { kind: row.answer, version: row.version, status: row.status }
    case 'open':
      return { kind: 'open', status: row.status }
    case 'unknown': {
      const archived = await findArchived(database, transactionId)
      return archived === null ? { kind: 'unknown' } : { kind: 'archived', archive: archived.archive }
    }
  }
}

type ExpungeRow =
  | { answer: 'expunged' | 'already' | 'open'; version: number; status: Status }
  | { answer: 'unknown'; version: null; status: null }
