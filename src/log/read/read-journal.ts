import type { Pool } from 'pg'
import { rfc3339 } from './rfc3339.ts'

/** What decisions are about. */
export const journalKinds = ['payment', 'destination', 'replay_job', 'partition', 'archive', 'epoch'] as const
export type JournalKind = (typeof journalKinds)[number]

/** A place in the journal: everything up to it was read, newest first. */
export type JournalPlace = {
  /** RFC 3339 in UTC with six digits. */
  readonly at: string
  readonly source: number
  /** Decimal digits. */
  readonly key1: string
  readonly key2: string
}

/** A decision of an operator or of the service. What it is not about is null. */
export type JournalEntry = JournalPlace & {
  readonly kind: JournalKind
  readonly by: 'operator' | 'service'
  readonly actor: string
  /** In the words of the table that it is recorded in. */
  readonly decision: string
  /** More about it, such as what a dead letter was resolved as, or the limit from then on. */
  readonly detail: string | null
  readonly reason: string
  readonly evidence: string | null
  readonly transactionId: string | null
  readonly destination: string | null
  /** The number of the job. */
  readonly job: string | null
  readonly topic: string | null
  readonly partition: number | null
}

export type JournalFilter = {
  readonly kinds: readonly JournalKind[]
  /** Exactly this one; null for any. */
  readonly actor: string | null
  /** RFC 3339, inclusive; null for open. */
  readonly from: string | null
  /** Exclusive. */
  readonly to: string | null
}

/**
 * Reads a page of the journal, newest first.
 *
 * @param after the last entry of the page before; null for the first page
 */
export async function readJournal(
  database: Pick<Pool, 'query'>,
  { kinds, actor, from, to }: JournalFilter,
  after: JournalPlace | null,
  rowsMax: number,
): Promise<JournalEntry[]> {
  const { rows } = await database.query<JournalEntry>({
    name: 'read_journal',
    text: `select ${rfc3339('recorded_at')} as at, source, key1, key2, kind, decided_by as by, actor, decision, detail, reason, evidence,
        transaction_id as "transactionId", destination, case when kind = 'replay_job' then key1 end as job, topic, partition
      from read_journal($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    values: [kinds, actor, from, to, after?.at, after?.source, after?.key1, after?.key2, rowsMax],
  })
  return rows
}
