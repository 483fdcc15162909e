import type { Pool } from 'pg'
import { archivesNow } from './log-cursor.ts'
import { epochOf, eventColumns, readLogEvent, type EventRow, type LogEvent } from './log-event.ts'

/** `archived`: the record was stored, and its event is in one of these archives. */
export type RecordAnswer =
  | { readonly kind: 'found'; readonly event: LogEvent }
  | { readonly kind: 'archived'; readonly archives: readonly string[] }
  | { readonly kind: 'unknown' }

export type RecordPlace = {
  topic: string
  partition: number
  /** A bigint as text. */
  offset: string
  incarnation?: number | null | undefined
}

// Events of version 1 have no index by record: the slice that stored the record says between which message ids the event is. Two
// slices that are stored at the same time take ids in turn, so a few ids of another partition may lie between. Duplicates are
// few and have an index. A conflict has an event on the original message too; that one is not the record's own event.
//
// In the same statement, so that both see the same: in which incarnation the offset was last stored, and which archives can have its
// event. A hole and what an operator gave up were not stored. A rejected or conflicting record has an id of its own in the inbox, and
// a record that came after the archive has a row in archived_duplicates: both lead to one archive. Of the others it is known
// that a first record is one of the ids of its slice, and that a duplicate was recorded when its slice was, or later. The message of a duplicate
// may have taken its id a moment later than the slice, hence the 10,000.
const statement = {
  name: 'find_record',
  text: `with found as (
      (
        select e.* from partitions p
        cross join lateral (
          select a.first_message_id, a.last_message_id from partition_advances a
          where a.partition_id = p.partition_id and a.next_offset > $3 order by a.next_offset limit 1
        ) slice
        cross join lateral (
          select m.* from message_events m
          where m.message_id between slice.first_message_id and slice.last_message_id and m.version = 1
            and m.topic = $1 and m.partition = $2 and m.kafka_offset = $3 and m.incarnation = p.incarnation
          limit 1
        ) e
        where p.topic = $1 and p.partition = $2 and ($4::int is null or p.incarnation = $4)
        order by p.incarnation desc limit 1
      )
      union all
      (
        select d.* from message_events d
        where d.topic = $1 and d.partition = $2 and d.kafka_offset = $3 and d.type = 'duplicate_received'
          and ($4::int is null or d.incarnation = $4)
        order by d.incarnation desc limit 1
      )
    ),
    stored as (
      select p.incarnation, slice.* from partitions p
      cross join lateral (
        select a.* from partition_advances a
        where a.partition_id = p.partition_id and a.next_offset > $3 order by a.next_offset limit 1
      ) slice
      where p.topic = $1 and p.partition = $2 and ($4::int is null or p.incarnation = $4)
        and slice.first_offset <= $3 and slice.received + slice.duplicates + slice.conflicts + slice.rejected > 0
        and not exists (
          select from partition_holes h
          where h.partition_id = p.partition_id and h.first_offset <= $3 and h.next_offset > $3
        )
      order by p.incarnation desc limit 1
    )
    select ${eventColumns('e')}, ${epochOf('e.position')} as epoch, ${archivesNow} as archives, s.transaction_id,
      w.names
    from (select) one
    left join lateral (select f.* from found f order by f.incarnation desc limit 1) e on true
    left join lateral (
      select m.transaction_id from message_states m where m.message_id = e.message_id limit 1
    ) s on true
    left join stored t on t.incarnation > coalesce(e.incarnation, 0)
    left join lateral (
      (
        select d.message_id from archived_duplicates d
        where d.topic = $1 and d.partition = $2 and d.incarnation = t.incarnation and d.kafka_offset = $3
      )
      union all
      (
        select b.message_id from inbox b where b.transaction_id = record_id($1, $2, t.incarnation, $3) collate "C" limit 1
      )
    ) k on true
    left join lateral (
      select array_agg(a.name order by a.segment) as names from segment_archives a
      where case when k.message_id is not null then k.message_id >= a.first_message_id and k.message_id < a.next_message_id
        else
          (t.received > 0 and a.first_message_id <= t.last_message_id and a.next_message_id > t.first_message_id)
          or (t.duplicates > 0 and a.last_recorded_at >= t.recorded_at and a.first_message_id <= t.last_message_id + 10000)
        end
    ) w on true`,
}

/**
 * Finds the one event that accounts for a Kafka record. Without an incarnation it is the latest one in which this offset was
 * consumed.
 *
 * @returns `unknown` if the record was not consumed, or if the offset is a hole
 */
export async function findRecord(database: Pick<Pool, 'query'>, record: RecordPlace): Promise<RecordAnswer> {
  const { rows } = await database.query<Row>({
    ...statement,
    values: [record.topic, record.partition, record.offset, record.incarnation ?? null],
  })
  const [row] = rows
  if (row === undefined) throw new Error('the answer is always a row')
  if (row.names !== null) return { kind: 'archived', archives: row.names }
  return row.message_id === null ? { kind: 'unknown' } : { kind: 'found', event: readLogEvent(row) }
}

type Row = { names: string[] | null } & (EventRow | { message_id: null })
