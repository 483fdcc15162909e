import type { Pool } from 'pg'
import { findOrigins } from '../log/read/find-origins.ts'
import type { Claim } from '../log/write/claim.ts'
import type { Inquiry } from '../log/write/inquiry.ts'
import { late, within } from '../runtime/within.ts'

// It is one look at a few rows by their keys. The lease of what was claimed runs meanwhile.
const waitMs = 500

/**
 * Adds to what a lane has claimed what only its spans say: the record's tracestate, and by what a message was replayed. If the database
 * does not tell at once, they are sent without it.
 */
export async function addOrigins(database: Pool, claimed: readonly (Claim | Inquiry)[]): Promise<void> {
  if (claimed.length === 0) return
  const reading = findOrigins(
    database,
    claimed.map(({ messageId }) => messageId),
  ).catch(() => late)
  const origins = await within(reading, waitMs)
  if (typeof origins === 'symbol') return
  for (const each of claimed) Object.assign(each, origins.get(each.messageId))
}
