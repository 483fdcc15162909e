import type { Pool } from 'pg'
import { jobOf } from '../../message/replay-job.ts'
import type { MessageId } from '../../message/message.ts'
import type { Origin } from '../write/claim.ts'

// Of the headers only `tracestate` is of use here. What is larger than this is no list of 512 characters beside a few others.
const headersMax = 65_536

const statement = {
  name: 'find_origins',
  text: `select r.message_id, r.traceparent, r.headers, e.request_key, e.version is not null as is_replayed
    from unnest($1::bigint[]) as m(message_id)
    cross join lateral (
      select p.message_id, p.traceparent,
        case when p.traceparent is not null and length(p.headers::text) <= ${headersMax} and p.headers::text like '%"tracestate"%'
          then p.headers::text end as headers
      from records p where p.message_id = m.message_id and p.version = 1 limit 1
    ) r
    left join lateral (
      select v.version, v.request_key from message_events v
      where v.message_id = m.message_id and v.type = 'replayed' order by v.version desc limit 1
    ) e on true`,
}

/** Reads where messages come from; nothing of one whose record is not in the database. */
export async function findOrigins(
  database: Pick<Pool, 'query'>,
  messageIds: readonly MessageId[],
): Promise<Map<MessageId, Origin>> {
  const { rows } = await database.query<OriginRow>({ ...statement, values: [messageIds] })
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
