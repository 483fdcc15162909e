import type { Pool } from 'pg'

/** An operator's word on a stopped partition; migrations/functions/write/decide_partition.sql says what each means. */
export type PartitionDecision = {
  topic: string
  partition: number
  type: 'resumed' | 'gap_accepted' | 'incarnation_begun'
  /** What the broker has of the partition now; null where it was not asked. */
  range: { low: bigint; high: bigint } | null
  actor: string
  reason: string
}

export type DecisionAnswer =
  | { kind: 'decided'; stoodAt: bigint; goesOnAt: bigint }
  | { kind: 'not_stopped' }
  /** Nothing is missing: the broker has what comes next. */
  | { kind: 'no_gap'; stoodAt: bigint; stoppedBy: string }
  /** The broker ends before the partition stands, or before it would go on. */
  | { kind: 'beyond'; stoodAt: bigint; goesOnAt: bigint }

/** Records the decision, and wakes whoever reads the partition. */
export async function decidePartition(
  database: Pick<Pool, 'query'>,
  { topic, partition, type, range, actor, reason }: PartitionDecision,
): Promise<DecisionAnswer> {
  const { rows } = await database.query<Row>(
    `select answer, stood_at, goes_on_at, stopped_by from decide_partition($1, $2, $3, $4, $5, $6, $7)`,
    [topic, partition, type, range?.low ?? null, range?.high ?? null, actor, reason],
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
  answer: DecisionAnswer['kind']
  stood_at: string | null
  goes_on_at: string | null
  stopped_by: string | null
}
