import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Segment } from './list-segments.ts'

// One or two milliseconds of the database's time.
const linesMax = 100
// The database works on an archive for a quarter of the time.
const restsFor = 3
// A server that is busy makes a piece take long by itself.
const restMsMax = 10

// The longest string that Node can hold has some 2²⁹ characters. A piece is joined to one string.
const bytesMax = 128 * 1024 * 1024

// PostgreSQL breaks base64 into lines of 76 characters.
const base64 = (column: string): string => `translate(encode(${column}, 'base64'), E'\\n', '')`

// An event's columns that are null are left out; a record's are there, because null headers differ from none.
const piece = `
  select e.message_id, e.version, left(v.event, -1) || case when r.message_id is null then '' else ',"record":' || (
      select row_to_json(k)::text from (
        select ${base64('r.key')} as key, r.headers, r.traceparent, r.timestamp_ms, ${base64('r.payload')} as payload,
          r.payload_state, r.payload_bytes, r.is_json
      ) k
    ) end || '}' as line
  from message_events e
  cross join lateral (
    select json_strip_nulls(row_to_json(c))::text as event from (
      select e.message_id, e.version, e.position, e.recorded_at, e.type, e.actor, e.status, e.retry_count, e.due_at, e.attempt,
        e.outcome, e.status_code, e.duration_ms, e.reason, e.transaction_id, e.topic, e.partition, e.kafka_offset, e.incarnation,
        encode(e.payload_sha256, 'hex') as payload_sha256, e.related_message_id, e.request_key,
        e.resolution, e.evidence, e.confirmed_not_carried_out, e.inquiry, e.reference
    ) c
  ) v
  left join records r on r.message_id = e.message_id and r.version = e.version
  where e.message_id >= %1 and e.message_id < %2 and (e.message_id, e.version) > ($1::bigint, $2::int)
  order by e.message_id, e.version limit %3`

// The lines come in the order of the primary keys, without being gathered or sorted first.
const switches = ['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_sort']

/**
 * Reads the events of a segment as the lines of its archive, without their ends: JSON, in the order of message id and version, each
 * with the Kafka record that it accounts for. Lines come in pieces of up to 100, and of up to `pieceMaxBytes` unless one line
 * is larger. After each piece the database rests for three times as long as the piece took, at most 10 ms, because payments come first.
 *
 * Each piece is read in a snapshot of its own, so that the vacuum is not held back for as long as an archive takes. A fence says afterwards
 * whether the segment stayed as it was (`moveFence`).
 *
 * @param client a session of its own, without a transaction
 */
export async function* readLines(
  client: pg.ClientBase,
  { firstMessageId, nextMessageId }: Segment,
  pieceMaxBytes = bytesMax,
): AsyncGenerator<string[]> {
  const lineMaxBytes = await boundLine(client, firstMessageId, nextMessageId)
  const pieceLines = Math.min(linesMax, Math.max(1, Math.floor(pieceMaxBytes / lineMaxBytes)))
  const text = piece
    .replace('%1', String(firstMessageId))
    .replace('%2', String(nextMessageId))
    .replace('%3', String(pieceLines))
  // Planned once.
  const name = `lines from ${firstMessageId} by ${pieceLines}`
  for (const each of switches) await client.query(`set ${each} = off`)
  try {
    for (let last: Place = { message_id: '0', version: 0 }; ;) {
      const startedAt = performance.now()
      const { rows } = await client.query<Place & { line: string }>({
        name,
        text,
        values: [last.message_id, last.version],
      })
      const end = rows.at(-1)
      if (end === undefined) break
      last = end
      yield rows.map((row) => row.line)
      await sleep(Math.min(restsFor * (performance.now() - startedAt), restMsMax))
    }
  } finally {
    for (const each of switches) await client.query(`reset ${each}`)
  }
}

type Place = { readonly message_id: string; readonly version: number }

/** A bound for the bytes of a line, by the largest record of the segment. Base64 makes four characters of three bytes. */
async function boundLine(client: pg.ClientBase, first: number, next: number): Promise<number> {
  const { rows } = await client.query<{ bytes: string | null }>(
    `select max(coalesce(octet_length(payload), 0)::bigint + coalesce(octet_length(key), 0)
       + coalesce(octet_length(headers::text), 0)) as bytes
     from records where message_id >= $1 and message_id < $2`,
    [first, next],
  )
  return 1.4 * Number(rows[0]?.bytes ?? 0) + 8_192
}
