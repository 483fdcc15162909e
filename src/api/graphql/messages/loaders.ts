import { createContextCache } from '@pothos/core'
import DataLoader from 'dataloader'
import type { PoolClient } from 'pg'
import { findConflicts } from '../../../log/read/find-conflicts.ts'
import { findMessages, findMessagesByTransactionId } from '../../../log/read/find-messages.ts'
import type { LogEvent } from '../../../log/read/log-event.ts'
import type { MessageRow } from '../../../log/read/message-row.ts'
import { readDetails, type MessageDetails } from '../../../log/read/read-details.ts'
import { readHistory } from '../../../log/read/read-history.ts'
import {
  readEnvelopes,
  readPayloadFacts,
  readPayloads,
  type PayloadFacts,
  type Read,
  type RecordEnvelope,
  type RecordKey,
} from '../../../log/read/read-records.ts'
import { readStatesAsOf, type StateAsOf } from '../../../log/read/read-states-as-of.ts'
import type { MessageId } from '../../../message/message.ts'
import { ask } from '../../ask.ts'
import type { GraphContext } from '../context.ts'
import { refuse } from '../errors.ts'
import { Budget } from './budget.ts'

/** Raw bytes of an answer's payloads; as text, as JSON and as base64 they may be in it three times. */
const payloadBytesMax = 16 * 1024 * 1024
const envelopeBytesMax = 4 * 1024 * 1024
const historyEventsMax = 20_000

/** What the fields of one operation have asked for is read together: one statement for a page, however long it is. */
export const loadersOf = createContextCache(({ dependencies: { database } }: GraphContext) => {
  const read = <Value>(reader: (client: PoolClient) => Promise<Value>): Promise<Value> =>
    ask(database, reader)
  const loaders = {
    message: createLoader<MessageId, MessageRow>(
      (ids) => read((client) => findMessages(client, ids)),
      (id) => id,
      (row) => row.messageId,
    ),
    messageByTransactionId: createLoader<string, MessageRow>(
      (ids) => read((client) => findMessagesByTransactionId(client, ids)),
      (id) => id,
      (row) => row.transactionId,
    ),
    details: createLoader<MessageId, MessageDetails>(
      (ids) => read((client) => readDetails(client, ids)),
      (id) => id,
      (row) => row.messageId,
    ),
    payloadFacts: createLoader<RecordKey, PayloadFacts>(
      (keys) => read((client) => readPayloadFacts(client, keys)),
      nameRecord,
      nameRecord,
    ),
    payload: createRecordLoader<{ payload: Buffer | null } & RecordKey>(
      payloadBytesMax,
      'payloads',
      (...bounds) => read((client) => readPayloads(client, ...bounds)),
    ),
    envelope: createRecordLoader<RecordEnvelope>(envelopeBytesMax, 'keys and headers', (...bounds) =>
      read((client) => readEnvelopes(client, ...bounds)),
    ),
    history: perArguments((afterVersion: number, first: number) =>
      createListLoader<LogEvent>(
        async (ids) => {
          const events = await read((client) =>
            readHistory(client, ids, afterVersion, first, historyEventsMax + 1),
          )
          if (events.length > historyEventsMax) {
            const sentence = `The histories of one answer are limited to ${historyEventsMax} events: ask for fewer messages, or for a smaller first.`
            throw refuse('BAD_USER_INPUT', sentence)
          }
          return events
        },
        (event) => event.messageId,
      ),
    ),
    conflicts: perArguments((first: number) =>
      createListLoader<{ original: MessageId; message: MessageRow }>(
        (ids) => read((client) => findConflicts(client, ids, first)),
        (conflict) => conflict.original,
      ),
    ),
    stateAsOf: perArguments((at: string) =>
      createLoader<MessageId, StateAsOf>(
        (ids) => read((client) => readStatesAsOf(client, ids, at)),
        (id) => id,
        (state) => state.messageId,
      ),
    ),
  }
  return {
    ...loaders,
    /** After a mutation: what was loaded before it is no longer how things stand. Bytes never change. */
    forget: () => {
      loaders.message.clearAll()
      loaders.messageByTransactionId.clearAll()
      loaders.details.clearAll()
      loaders.history.forget()
      loaders.stateAsOf.forget()
    },
  }
})

const batchMax = 1_000

/** A loader of at most one value a key; null where there is none. */
function createLoader<Key, Value>(
  load: (keys: readonly Key[]) => Promise<Value[]>,
  nameKey: (key: Key) => string,
  nameValue: (value: Value) => string,
): DataLoader<Key, Value | null, string> {
  return new DataLoader(
    async (keys) => {
      const found = new Map((await load(keys)).map((value) => [nameValue(value), value]))
      return keys.map((key) => found.get(nameKey(key)) ?? null)
    },
    { cacheKeyFn: nameKey, maxBatchSize: batchMax },
  )
}

/** A loader of any number of values a message, in the order in which they are read. */
function createListLoader<Value>(
  load: (ids: readonly MessageId[]) => Promise<Value[]>,
  idOf: (value: Value) => MessageId,
): DataLoader<MessageId, Value[]> {
  return new DataLoader(
    async (ids) => {
      const lists = new Map(ids.map((id): [MessageId, Value[]] => [id, []]))
      for (const value of await load(ids)) lists.get(idOf(value))?.push(value)
      return ids.map((id) => lists.get(id) ?? [])
    },
    { maxBatchSize: batchMax },
  )
}

/** A loader of what records hold, which gives each that does not fit into the answer an error of its own. */
function createRecordLoader<Value extends RecordKey>(
  bytesMax: number,
  what: string,
  load: (keys: readonly RecordKey[], bytesMax: number, firstAlways: boolean) => Promise<Read<Value>[]>,
): DataLoader<RecordKey, Value | null, string> {
  const budget = new Budget(bytesMax)
  return new DataLoader(
    async (keys) => {
      const found = new Map<string, Value | Error>()
      for (const each of await load(keys, budget.left, budget.claimFirst())) {
        if (each.kind === 'over') found.set(nameRecord(each), refuseBytes(what, bytesMax))
        else {
          budget.take(each.bytes)
          found.set(nameRecord(each.value), each.value)
        }
      }
      return keys.map((key) => found.get(nameRecord(key)) ?? null)
    },
    { cacheKeyFn: nameRecord, maxBatchSize: batchMax },
  )
}

function refuseBytes(what: string, bytesMax: number): Error {
  const sentence = `The ${what} of one answer are limited to ${bytesMax} bytes: ask for fewer messages at a time.`
  return refuse('BAD_USER_INPUT', sentence)
}

/** One loader for each set of arguments, because only fields with the same arguments can be read together. */
function perArguments<Args extends (string | number)[], Loader>(
  create: (...args: Args) => Loader,
): ((...args: Args) => Loader) & { forget: () => void } {
  const made = new Map<string, Loader>()
  const find = (...args: Args): Loader => {
    const name = args.join(':')
    const loader = made.get(name) ?? create(...args)
    made.set(name, loader)
    return loader
  }
  return Object.assign(find, { forget: () => made.clear() })
}

function nameRecord({ messageId, version }: RecordKey): string {
  return `${messageId}:${version}`
}
