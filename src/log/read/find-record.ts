import type { Pool } from 'pg'
import { epochOf, eventColumns, readLogEvent, type EventRow, type LogEvent } from './log-event.ts'

// Events of version 1 have no index by record: the slice that stored the record says between which message ids the event is. Two
// slices that are stored at the same time take ids in turn, so a few ids of another partition may lie between. Duplicates are
// few and have an index. A conflict has an event on the original message too; that one is not the record's own event.
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
    )
    select ${eventColumns('e')}, ${epochOf('e.position')} as epoch, s.transaction_id
    from found e
    cross join lateral (
      select m.transaction_id from message_states m where m.message_id = e.message_id limit 1
    ) s
    order by e.incarnation desc limit 1`,
}

/**
 * Finds the one event that accounts for a Kafka record. Without an incarnation it is the latest one in which this offset was
 * consumed.
 *
 * @returns null if the record was not consumed, or if the offset is a hole
 */
export async function findRecord(
  database: Pick<Pool, 'query'>,
  record: { topic: string; partition: number; offset: string; incarnation?: number | null | undefined },
): Promise<LogEvent | null> {
  const { rows } = await database.query<EventRow>({
    ...statement,
    values: [record.topic, record.partition, record.offset, record.incarnation ?? null],
  })
  return rows[0] === undefined ? null : readLogEvent(rows[0])
}
