import type { Pool } from 'pg'
import type { Status } from '../../message/message.ts'
import { namedCall } from './named-call.ts'

export type ReplayRequest = {
  /** Who asks, and why. Both stay in the log for ever. */
  actor: string
  reason: string
  /** The caller's name for this request: a second request with this name gets the first one's answer, and does nothing. */
  requestKey: string | null
}

export type ReplayAnswer =
  /** `repeated`: the same request was accepted before. `version` is of the `replayed` event. */
  | { kind: 'replayed' | 'repeated'; version: number; status: Status }
  /** A request of this operator with this name was accepted with another reason. */
  | { kind: 'key_reused' }
  | { kind: 'not_replayable'; status: Status }
  | { kind: 'unknown' }

/**
 * Opens dead letters again: each becomes pending and is due now, with no retries counted. All of it is one transaction, but
 * each id is decided for itself. Of several requests for one message at the same time, one is accepted.
 *
 * @returns one answer for each id, in order
 * @throws what pg throws; if the connection was lost, the replays may have been committed all the same
 */
export async function replayMany(
  database: Pick<Pool, 'query'>,
  transactionIds: readonly string[],
  request: ReplayRequest,
): Promise<ReplayAnswer[]> {
  // PostgreSQL's text has no NUL and no half of a surrogate pair, so no message has such an id.
  const known = transactionIds.map((id) => !/[\0\p{Cs}]/u.test(id))
  const call = namedCall('replay', {
    in_transaction_ids: transactionIds.filter((_, at) => known[at]),
    in_actor: request.actor,
    in_reason: request.reason,
    in_request_key: request.requestKey,
  })
  const { rows } = await database.query<ReplayRow>({
    name: 'replay',
    text: `select answer, version, status from ${call.text} order by place`,
    values: call.values,
  })
  const answers = rows.map(readAnswer).values()
  return known.map((isKnown) => {
    const answer = isKnown ? answers.next().value : { kind: 'unknown' as const }
    if (answer === undefined) throw new Error('replay() answers a row for each id')
    return answer
  })
}

/** Opens one dead letter again, as `replayMany` does. */
export async function replay(
  database: Pick<Pool, 'query'>,
  { transactionId, ...request }: ReplayRequest & { transactionId: string },
): Promise<ReplayAnswer> {
  const [answer] = await replayMany(database, [transactionId], request)
  if (answer === undefined) throw new Error('one id has one answer')
  return answer
}

function readAnswer(row: ReplayRow): ReplayAnswer {
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
