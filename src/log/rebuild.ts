import type { Pool } from 'pg'

/** Where the projection said otherwise than the log. */
export type Difference =
  | { kind: 'column'; messageId: string; transactionId: string; column: string; was: string; is: string }
  /** The message had no state, or a state without an event in the log; `status` is the one it has or had. */
  | { kind: 'missing' | 'surplus'; messageId: string; transactionId: string; status: string }
  | { kind: 'inbox'; messageId: string; transactionId: string }
  /** The inbox names another message or other bytes for the identity: what the log contradicts cannot be repaired. */
  | { kind: 'contradiction'; messageId: string; transactionId: string; was: string; is: string }
  | { kind: 'count'; status: string; was: string; is: string }

// A chunk is a transaction: small enough that nobody waits long for the rows that it repairs.
const messagesMax = 1_000

/**
 * Recomputes the projection from the log and repairs it, in chunks, while the service runs: states, inbox, counts by
 * status. Yields what differed, each difference after its repair is committed.
 */
export async function* rebuild(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  yield* rebuildStates(database)
  yield* rebuildInbox(database)
  // Last, because they count the states.
  yield* rebuildCounts(database)
}

type Named = { message_id: string; transaction_id: string; was: string | null; became: string | null }
type Reached = { message_id: null; reached: string | null }

async function* rebuildStates(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  for (let above: string | null = '-1'; above !== null;) {
    const { rows }: { rows: ((Named & { field: string | null }) | Reached)[] } = await database.query(
      'select message_id, transaction_id, field, was, became, reached from rebuild_states($1, $2)',
      [above, messagesMax],
    )
    above = null
    for (const row of rows) {
      if (row.message_id === null) above = row.reached
      else yield readState(row)
    }
  }
}

function readState(row: Named & { field: string | null }): Difference {
  const message = { messageId: row.message_id, transactionId: row.transaction_id }
  if (row.field !== null) {
    return { kind: 'column', ...message, column: row.field, was: row.was ?? 'null', is: row.became ?? 'null' }
  }
  if (row.was === null) return { kind: 'missing', ...message, status: row.became ?? 'null' }
  return { kind: 'surplus', ...message, status: row.was }
}

async function* rebuildInbox(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  for (let above: string | null = '-1'; above !== null;) {
    const { rows }: { rows: (Named | Reached)[] } = await database.query(
      'select message_id, transaction_id, was, became, reached from rebuild_inbox($1, $2)',
      [above, messagesMax],
    )
    above = null
    for (const row of rows) {
      if (row.message_id === null) above = row.reached
      else yield readInbox(row)
    }
  }
}

function readInbox(row: Named): Difference {
  const message = { messageId: row.message_id, transactionId: row.transaction_id }
  if (row.was === null) return { kind: 'inbox', ...message }
  return { kind: 'contradiction', ...message, was: row.was, is: row.became ?? 'null' }
}

async function* rebuildCounts(database: Pick<Pool, 'query'>): AsyncGenerator<Difference> {
  const { rows } = await database.query<{ status: string; was: string; became: string }>(
    'select status, was, became from rebuild_counts()',
  )
  for (const row of rows) yield { kind: 'count', status: row.status, was: row.was, is: row.became }
}
