import type { Pool } from 'pg'
import { namedCall } from './named-call.ts'

/** An operator's decision on a stopped partition. migrations/functions/write/decide_partition.sql says what each type means. */
export type PartitionDecision = {
  topic: string
  partition: number
  type: 'resumed' | 'gap_accepted' | 'incarnation_begun'
  /** The broker's first offset and the one after its last, now; null if the broker was not asked. */
  range: { low: bigint; high: bigint } | null
  actor: string
  reason: string
}

export type PartitionAnswer =
  | { kind: 'decided'; stoodAt: bigint; goesOnAt: bigint }
  | { kind: 'not_stopped' }
  /** Nothing is missing: the broker has the next offset. */
  | { kind: 'no_gap'; stoodAt: bigint; stoppedBy: string }
  /** The broker's records end before the offset where the partition stands, or where it would go on. */
  | { kind: 'beyond'; stoodAt: bigint; goesOnAt: bigint }

/** Records the decision, and notifies the instance that reads the partition. */
export async function decidePartition(
  database: Pick<Pool, 'query'>,
  { topic, partition, type, range, actor, reason }: PartitionDecision,
): Promise<PartitionAnswer> {
  const call = namedCall('decide_partition', {
    in_topic: topic,
    in_partition: partition,
    in_type: type,
    in_low: range?.low ?? null,
    in_high: range?.high ?? null,
    in_actor: actor,
    in_reason: reason,
  })
  const { rows } = await database.query<Row>(
    `select answer, stood_at, goes_on_at, stopped_by from ${call.text}`,
    call.values,
  )
  const row = rows[0]
  if (row === undefined) throw new Error('decide_partition() answered no row')
  const stoodAt = BigInt(row.stood_at ?? 0)
  const goesOnAt = BigInt(row.goes_on_at ?? 0)
  switch (row.answer) {
    case 'decided':
      return { kind: 'decided', stoodAt, goesOnAt }
    case 'not_stopped':
      return { kind: 'not_stopped' }
    case 'no_gap':
      return { kind: 'no_gap', stoodAt, stoppedBy: row.stopped_by ?? '' }
    case 'beyond':
      return { kind: 'beyond', stoodAt, goesOnAt }
  }
}

type Row = {
  answer: PartitionAnswer['kind']
  stood_at: string | null
  goes_on_at: string | null
  stopped_by: string | null
}
