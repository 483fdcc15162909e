import type { Pool } from 'pg'
import { rfc3339 } from '../read/rfc3339.ts'

export type TopicPlaces = {
  /** When the log was made, in RFC 3339 with six digits. It tells one log from another, and stays over a failover and a restore. */
  logBeganAt: string
  /** By partition: those that the log knows. */
  places: Map<number, PartitionPlace>
}

/** Where a partition stands, according to the log. */
export type PartitionPlace = {
  /** Counts how often the topic was created: 1 until an operator says that it was created anew. Offsets begin again in each. */
  incarnation: number
  /** Null if nothing is stored yet. */
  nextOffset: bigint | null
  /** Where its first slice began; null if nothing is stored yet. */
  begins: bigint | null
  /** Why the partition is stopped; null if it is not. */
  stopped: string | null
  /** The last stored record, which the broker must still have unless it was deleted there; null if no record is stored. */
  lastRecord: LastRecord | null
}

/** `sha256` is of the value; of zero bytes if the value was null. */
export type LastRecord = { offset: bigint; sha256: Buffer }

/** Reads where each known partition of a topic stands, in its present incarnation. */
export async function readNextOffsets(database: Pool, topic: string): Promise<TopicPlaces> {
  const { rows } = await database.query<Row>({
    name: 'next_offsets',
    text: `select ${rfc3339('l.recorded_at')} as log_began_at, k.*
      from (select recorded_at from log_epochs order by epoch limit 1) l
      left join (
        select distinct on (p.partition) p.partition, p.incarnation, coalesce(a.next_offset, p.begins_at) as next_offset,
          coalesce(p.begins_at, f.first_offset) as begins, s.reason as stopped, r.kafka_offset as last_offset, r.payload_sha256 as last_sha256
        from partitions p
        left join lateral (
          select next_offset from partition_advances where partition_id = p.partition_id order by next_offset desc limit 1
        ) a on true
        left join lateral (
          select first_offset from partition_advances where partition_id = p.partition_id order by next_offset limit 1
        ) f on true
        left join stopped_partitions s on s.partition_id = p.partition_id
        left join lateral last_record(p.partition_id) r on true
        where p.topic = $1
        order by p.partition, p.incarnation desc
      ) k on true`,
    values: [topic],
  })
  const [first] = rows
  if (first === undefined) throw new Error('a log has a first epoch')
  const known = rows.filter((row): row is Row & { partition: number } => row.partition !== null)
  return {
    logBeganAt: first.log_began_at,
    places: new Map(known.map((row) => [row.partition, readPlace(row)])),
  }
}

type Row = {
  log_began_at: string
  /** Null, as all that follow, if the log knows no partition of the topic. */
  partition: number | null
  incarnation: number
  next_offset: string | null
  begins: string | null
  stopped: string | null
  last_offset: string | null
  last_sha256: Buffer | null
}

function readPlace(row: Row): PartitionPlace {
  const { incarnation, next_offset: next, begins, stopped, last_offset: last, last_sha256: sha256 } = row
  return {
    incarnation,
    nextOffset: next === null ? null : BigInt(next),
    begins: begins === null ? null : BigInt(begins),
    stopped,
    lastRecord: last === null || sha256 === null ? null : { offset: BigInt(last), sha256 },
  }
}
