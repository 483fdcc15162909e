import DataLoader from 'dataloader'
import type { Pool } from 'pg'
import { findAllArchived } from '../../log/read/find-archived.ts'
import { findMessagesByTransactionId } from '../../log/read/find-messages.ts'
import { isStorable } from '../../log/read/is-storable.ts'
import type { MessageRow } from '../../log/read/message-row.ts'
import { ask } from '../ask.ts'
import type { MessageState, ReadState } from './follow-message.ts'

const batchMax = 1_000

/** Reads what is asked for in the same turn in one statement, each message once; nothing is remembered beyond it. */
export function stateReader(database: Pool): ReadState {
  const loader = new DataLoader<string, MessageState>(
    async (ids) => {
      const asked = [...new Set(ids)].filter(isStorable)
      const { rows, archived } = await ask(database, async (client) => {
        const rows = await findMessagesByTransactionId(client, asked)
        const found = new Set<string>(rows.map((message) => message.transactionId))
        const missing = asked.filter((id) => !found.has(id))
        // Asked for afterwards: whatever is archived meanwhile is found here.
        return { rows, archived: missing.length === 0 ? null : await findAllArchived(client, missing) }
      })
      const messages = new Map<string, MessageRow>(rows.map((message) => [message.transactionId, message]))
      const states = new Map(
        asked.map((id): [string, MessageState] => [
          id,
          { message: messages.get(id) ?? null, archived: archived?.get(id) ?? null },
        ]),
      )
      return ids.map((id) => states.get(id) ?? { message: null, archived: null })
    },
    { cache: false, maxBatchSize: batchMax },
  )
  return (transactionId) => loader.load(transactionId)
}
