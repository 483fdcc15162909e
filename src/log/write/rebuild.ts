import type { Pool } from 'pg'
import { rfc3339 } from '../read/rfc3339.ts'
import { foldCounts } from './fold-counts.ts'

/** A place where the projection differed from the log. `was` is what the projection said, `is` what the log says. */
export type Difference =
  | { kind: 'column'; messageId: string; transactionId: string; column: string; was: string; is: string }
  /** `missing`: the message had no state. `surplus`: a state had no event in the log. `status` is the one it has now, or had. */
  | { kind: 'missing' | 'surplus'; messageId: string; transactionId: string; status: string }
  | { kind: 'inbox'; messageId: string; transactionId: string }
  /** The order of the log did not lead to this event. */
  | { kind: 'position'; messageId: string; transactionId: string; version: number }
  /** The inbox names another message or other bytes for this identity than the log does. This cannot be repaired. */
  | { kind: 'contradiction'; messageId: string; transactionId: string; was: string; is: string }
  | { kind: 'count'; status: string; was: string; is: string }
  /** `minute` is in RFC 3339; null for a measure of the present. */
  | { kind: 'rollup'; minute: string | null; measure: string; bucket: number; was: string; is: string }
  | { kind: 'failures'; minute: string; pattern: string; was: string; is: string }
  | { kind: 'partition'; topic: string; partition: number; was: string; is: string }
  /** Which decision of an operator stands; null where none does. */
  | { kind: 'decision'; messageId: string; transactionId: string; was: string | null; is: string | null }
  /** What the decisions about a destination do not say. `column` and `was` are null for one that had no row. */
  | { kind: 'destination'; destination: string; column: string | null; was: string | null; is: string }

// Each chunk is a transaction. It is small, so that nobody waits long for the rows that it repairs.
const messagesMax = 1_000

/**
 * Computes the projection again from the log and repairs it while the service runs: states, inbox and operators' decisions about messages
 * in chunks, then how each destination stands, the counts by status and the rollups. Yields each difference after its repair is committed.
 */
export async function* rebuild(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  yield* rebuildStates(database)
  yield* rebuildInbox(database)
  yield* rebuildPositions(database)
  yield* rebuildDecisions(database)
  // It looks for attempts that are open by what was repaired above.
  yield* rebuildDestinations(database)
  // Last, because they count the states and the decisions.
  yield* rebuildCounts(database)
  yield* rebuildRollups(database)
}

type OfMessage = { message_id: string; transaction_id: string }
type Changed = OfMessage & { was: string | null; became: string | null }
type Field = Changed & { field: string | null }

async function* rebuildStates(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  const columns = 'message_id, transaction_id, field, was, became'
  for await (const row of inChunks<Field>(database, 'rebuild_states', columns)) yield readState(row)
}

function readState(row: Field): Difference {
  if (row.field !== null) {
    return {
      kind: 'column',
      ...nameOf(row),
      column: row.field,
      was: row.was ?? 'null',
      is: row.became ?? 'null',
    }
  }
  if (row.was === null) return { kind: 'missing', ...nameOf(row), status: row.became ?? 'null' }
  return { kind: 'surplus', ...nameOf(row), status: row.was }
}

async function* rebuildInbox(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  const columns = 'message_id, transaction_id, was, became'
  for await (const row of inChunks<Changed>(database, 'rebuild_inbox', columns)) {
    if (row.was === null) yield { kind: 'inbox', ...nameOf(row) }
    else yield { kind: 'contradiction', ...nameOf(row), was: row.was, is: row.became ?? 'null' }
  }
}

async function* rebuildPositions(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  type Row = OfMessage & { version: number }
  const columns = 'message_id, transaction_id, version'
  for await (const row of inChunks<Row>(database, 'rebuild_positions', columns))
    yield { kind: 'position', ...nameOf(row), version: row.version }
}

async function* rebuildDecisions(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  // A row of a message that is not in the log has no name.
  const columns = `message_id, coalesce(transaction_id, 'message ' || message_id) as transaction_id, was, became`
  for await (const row of inChunks<Changed>(database, 'rebuild_decisions', columns))
    yield { kind: 'decision', ...nameOf(row), was: row.was, is: row.became }
}

/** Calls a function that rebuilds one chunk of messages for each chunk. Its last row says how far it came, and is null at the end. */
async function* inChunks<Row extends OfMessage>(
  database: Pick<Pool, 'query'>,
  name: string,
  columns: string,
): AsyncGenerator<Row> {
  type Reached = { message_id: null; reached: string | null }
  for (let above: string | null = '-1'; above !== null;) {
    const { rows }: { rows: (Row | Reached)[] } = await database.query(
      `select ${columns}, reached from ${name}($1, $2)`,
      [above, messagesMax],
    )
    above = null
    for (const row of rows) {
      if (row.message_id === null) above = row.reached
      else yield row
    }
  }
}

function nameOf({ message_id: messageId, transaction_id: transactionId }: OfMessage) {
  return { messageId, transactionId }
}

async function* rebuildDestinations(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  const { rows } = await database.query<{
    destination: string
    field: string | null
    was: string | null
    became: string | null
  }>('select destination, field, was, became from rebuild_destinations()')
  for (const { destination, field, was, became } of rows)
    yield {
      kind: 'destination',
      destination,
      column: field,
      was: field === null ? null : (was ?? 'null'),
      is: became ?? 'null',
    }
}

async function* rebuildCounts(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  const { rows } = await database.query<{ status: string; was: string; became: string }>(
    'select status, was, became from rebuild_counts()',
  )
  for (const row of rows) yield { kind: 'count', status: row.status, was: row.was, is: row.became }
}

async function* rebuildRollups(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  // Folded first, so that this transaction has ended before the long ones begin that read the log.
  await foldCounts(database)
  const minute = rfc3339('minute')
  const rollups = await database.query<Rollup>(
    `select case when minute <> '-infinity' then ${minute} end as minute, measure, bucket, was, became from rebuild_rollups()`,
  )
  for (const { minute, measure, bucket, was, became } of rollups.rows)
    yield { kind: 'rollup', minute, measure, bucket, was, is: became }
  const failures = await database.query<Failures>(
    `select ${minute} as minute, pattern, was, became from rebuild_failures()`,
  )
  for (const { minute, pattern, was, became } of failures.rows)
    yield { kind: 'failures', minute, pattern, was, is: became }
  const partitions = await database.query<PartitionFold>(
    'select topic, partition, was, became from rebuild_partitions()',
  )
  for (const { topic, partition, was, became } of partitions.rows)
    yield { kind: 'partition', topic, partition, was, is: became }
}

type Rollup = { minute: string | null; measure: string; bucket: number; was: string; became: string }
type Failures = { minute: string; pattern: string; was: string; became: string }
type PartitionFold = { topic: string; partition: number; was: string; became: string }
