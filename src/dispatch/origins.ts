import type { Pool } from 'pg'
import { findOrigins } from '../log/read/find-origins.ts'
import type { Claim, Origin } from '../log/write/to-claim.ts'
import type { Inquiry } from '../log/write/inquiry.ts'
import type { MessageId } from '../message/message.ts'
import { late, within } from '../runtime/within.ts'

// It is one look at a few rows by their keys. The lease of what was claimed runs meanwhile.
const waitMs = 500

/** What a lane's looks ask for where traces are on. */
export class Origins {
  readonly #database: Pool
  #isReading = false

  constructor(database: Pool) {
    this.#database = database
  }

  /**
   * Adds to what a lane has claimed what only its spans say: the record's tracestate, and by what a message was replayed. If the database
   * does not tell at once, they are sent without it. Nothing is asked before it has ended what was asked last: a slow database would else
   * have all connections of the pool busy with this, and none to store outcomes.
   */
  async addTo(claimed: readonly (Claim | Inquiry)[]): Promise<void> {
    if (claimed.length === 0 || this.#isReading) return
    const origins = await within(this.#read(claimed), waitMs)
    if (origins === late || origins === null) return
    for (const each of claimed) Object.assign(each, origins.get(each.messageId))
  }

  /** Null if the database does not tell. */
  async #read(claimed: readonly (Claim | Inquiry)[]): Promise<ReadonlyMap<MessageId, Origin> | null> {
    this.#isReading = true
    try {
      return await findOrigins(
        this.#database,
        claimed.map(({ messageId }) => messageId),
      )
    } catch {
      return null
    } finally {
      this.#isReading = false
    }
  }
}
