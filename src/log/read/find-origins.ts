import type { Pool } from 'pg'
import { jobOf } from '../../message/replay-job.ts'
import type { MessageId } from '../../message/message.ts'
import { tracestateHeadersMax } from '../../message/keep-tracestate.ts'
import type { Origin } from '../write/to-claim.ts'

const statement = {
  name: 'find_origins',
  text: 'select message_id, traceparent, headers, request_key, is_replayed from find_origins($1, $2)',
}

/** Reads where messages come from; nothing of one whose record is not in the database. */
export async function findOrigins(
  database: Pick<Pool, 'query'>,
  messageIds: readonly MessageId[],
): Promise<Map<MessageId, Origin>> {
  const { rows } = await database.query<OriginRow>({
    ...statement,
    values: [messageIds, tracestateHeadersMax],
  })
  return new Map(
    rows.map((row) => [
      row.message_id as MessageId,
      {
        traceparent: row.traceparent,
        headers: row.headers,
        replayedBy: !row.is_replayed ? null : jobOf(row.request_key) === null ? 'operator' : 'job',
      },
    ]),
  )
}

type OriginRow = {
  message_id: string
  traceparent: string | null
  headers: string | null
  request_key: string | null
  is_replayed: boolean
}
