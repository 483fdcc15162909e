import type { Pool } from 'pg'
import { epochOf, eventColumns, readLogEvent, type EventRow, type LogEvent } from './log-event.ts'

// An event of a message's version 1 has no index by its record: the slice that stored it says between which message ids it is.
// The ids of two slices at once are minted in turn, so a few of another partition's may lie between. Duplicates are few and
// have an index. The conflict that the original was told of is not the record's own event.
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
 * The one event that accounts for a Kafka record; null if the record was not consumed, or is a hole. Without an incarnation, that of
 * the latest one in which such an offset was consumed.
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
