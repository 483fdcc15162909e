import type { Pool } from 'pg'
import type { Status } from '../message/message.ts'

export type ReplayRequest = {
  transactionId: string
  /** The operator who asks, and why; both stand in the log for ever. */
  actor: string
  reason: string
  /** What the caller calls this request, so that a second one of the same name is answered and not done again. */
  requestKey: string | null
}

export type ReplayAnswer =
  /** `repeated`: the same request was accepted before. `version`: of the replayed event. */
  | { kind: 'replayed' | 'repeated'; version: number; status: Status }
  /** This operator's request of this name was accepted with another reason. */
  | { kind: 'key_reused' }
  | { kind: 'not_replayable'; status: Status }
  | { kind: 'unknown' }

/**
 * Opens a dead letter again: it is pending, due now, with no retries counted. Of several at once one is accepted.
 *
 * @throws what pg throws when the database failed: the replay may have been committed all the same
 */
export async function replay(database: Pick<Pool, 'query'>, request: ReplayRequest): Promise<ReplayAnswer> {
  const { rows } = await database.query<ReplayRow>({
    name: 'replay',
    text: 'select answer, version, status from replay($1, $2, $3, $4)',
    values: [request.transactionId, request.actor, request.reason, request.requestKey],
  })
  const row = rows[0]
  if (row === undefined) throw new Error('replay() answered no row')
  switch (row.answer) {
    case 'replayed':
    case 'repeated':
      return { kind: row.answer, version: row.version, status: row.status }
    case 'not_replayable':
      return { kind: row.answer, status: row.status }
    case 'key_reused':
    case 'unknown':
      return { kind: row.answer }
  }
}

type ReplayRow =
  | { answer: 'replayed' | 'repeated' | 'key_reused' | 'not_replayable'; version: number; status: Status }
  | { answer: 'unknown'; version: null; status: null }
