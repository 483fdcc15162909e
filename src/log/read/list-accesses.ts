import type { Pool } from 'pg'
import type { AccessKind } from '../write/record-accesses.ts'
import { rfc3339 } from './rfc3339.ts'

/** One access, as it was recorded. Counts are decimal digits, times RFC 3339. */
export type Access = {
  /** Its number. */
  readonly id: string
  readonly recordedAt: string
  readonly kind: AccessKind
  readonly actor: string | null
  readonly role: string | null
  readonly address: string | null
  readonly instance: string | null
  readonly databaseUser: string
  readonly name: string | null
  readonly amount: string
  /** Whose bytes were read; null where none were. */
  readonly transactionIds: readonly string[] | null
  /** The number of the row that this one ends. */
  readonly started: string | null
  readonly details: Readonly<Record<string, unknown>>
}

export type AccessFilter = {
  readonly kinds: readonly AccessKind[] | null
  readonly actor: string | null
  /** Only accesses that name this message. */
  readonly transactionId: string | null
}

/**
 * Lists accesses, the newest first.
 *
 * @param before only those with a lower number; null for all
 */
export async function listAccesses(
  database: Pick<Pool, 'query'>,
  { kinds, actor, transactionId }: AccessFilter,
  before: string | null,
  rowsMax: number,
): Promise<Access[]> {
  const { rows } = await database.query<Access>(
    `select a.access as id, ${rfc3339('a.recorded_at')} as "recordedAt", a.kind, a.actor, a.role, a.address, a.instance,
       a.database_user as "databaseUser", a.name, a.amount, a.transaction_ids as "transactionIds", a.started, a.details
     from accesses a
     where ($1::bigint is null or a.access < $1)
       and ($2::text[] is null or a.kind = any ($2))
       and ($3::text is null or a.actor = $3)
       and ($4::text is null or a.transaction_ids @> array[$4] collate "C")
     order by a.access desc
     limit $5`,
    [before, kinds, actor, transactionId, rowsMax],
  )
  return rows
}
