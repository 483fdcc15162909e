import DataLoader from 'dataloader'
import type { Pool } from 'pg'
import { findMessagesByTransactionId } from '../../log/read/find-messages.ts'
import { isStorable } from '../../log/read/is-storable.ts'
import { ask } from '../ask.ts'
import type { MessageState, ReadState } from './follow-message.ts'

const batchMax = 1_000

/** Reads what is asked for in the same turn in one statement, each message once; nothing is remembered beyond it. */
export function stateReader(database: Pool): ReadState {
  const loader = new DataLoader<string, MessageState>(
    async (ids) => {
      const rows = await ask(database, (client) =>
        findMessagesByTransactionId(client, [...new Set(ids)].filter(isStorable)),
      )
      const states = new Map(rows.map((message) => [message.transactionId as string, { message }]))
      return ids.map((id) => states.get(id) ?? { message: null })
    },
    { cache: false, maxBatchSize: batchMax },
  )
  return (transactionId) => loader.load(transactionId)
}
