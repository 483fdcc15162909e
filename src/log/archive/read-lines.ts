import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Segment } from './list-segments.ts'

// One or two milliseconds of the database's time.
const linesMax = 100
// The database works on an archive for a quarter of the time.
const restsFor = 3
// A server that is busy makes a piece take long by itself, and the snapshot must end: it holds back the vacuum.
const restMsMax = 10

// The longest string that Node can hold has some 2²⁹ characters. A piece is joined to one string.
const bytesMax = 128 * 1024 * 1024

// PostgreSQL breaks base64 into lines of 76 characters.
const base64 = (column: string): string => `translate(encode(${column}, 'base64'), E'\\n', '')`

// An event's columns that are null are left out; a record's are there, because null headers differ from none.
const line = `
  select left(v.event, -1) || case when r.message_id is null then '' else ',"record":' || (
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
  where e.message_id >= %1 and e.message_id < %2
  order by e.message_id, e.version`

/**
 * Reads the events of a segment as the lines of its archive, without their ends: JSON, in the order of message id and version, each
 * with the Kafka record that it accounts for. Lines come in pieces of up to 100, and of up to `pieceMaxBytes` unless one line
 * is larger. After each piece the database rests for three times as long as the piece took, at most 10 ms, because payments come first.
 *
 * @param client in a transaction, whose snapshot is read
 */
export async function* readLines(
  client: pg.ClientBase,
  { firstMessageId, nextMessageId }: Segment,
  pieceMaxBytes = bytesMax,
): AsyncGenerator<string[]> {
  const lineMaxBytes = await boundLine(client, firstMessageId, nextMessageId)
  const pieceLines = Math.min(linesMax, Math.max(1, Math.floor(pieceMaxBytes / lineMaxBytes)))
  const select = line.replace('%1', String(firstMessageId)).replace('%2', String(nextMessageId))
  // The lines come in the order of the primary keys, without being gathered or sorted first.
  for (const each of ['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_sort'])
    await client.query(`set local ${each} = off`)
  await client.query(`declare archived_lines no scroll cursor for ${select}`)
  for (;;) {
    const startedAt = performance.now()
    const { rows } = await client.query<{ line: string }>(`fetch ${pieceLines} from archived_lines`)
    if (rows.length === 0) break
    yield rows.map((row) => row.line)
    await sleep(Math.min(restsFor * (performance.now() - startedAt), restMsMax))
  }
  await client.query('close archived_lines')
  for (const each of ['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_sort'])
    await client.query(`set local ${each} = default`)
}

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
