import { createContextCache } from '@pothos/core'
import DataLoader from 'dataloader'
import type { PoolClient } from 'pg'
import { findAllArchived, findArchivedIds, type Archived } from '../../../log/read/find-archived.ts'
import { findConflicts } from '../../../log/read/find-conflicts.ts'
import { findMessages, findMessagesByTransactionId } from '../../../log/read/find-messages.ts'
import type { LogEvent } from '../../../log/read/log-event.ts'
import type { MessageRow } from '../../../log/read/message-row.ts'
import { readDestinationUrls } from '../../../log/read/read-destination-urls.ts'
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
import type { GraphContext } from '../create-context.ts'
import { refuse } from '../errors.ts'
import { refuseArchived } from '../refuse-archived.ts'
import { Budget } from './budget.ts'

/** Raw bytes of an answer's payloads; as text, as JSON and as base64 they may be in it three times. */
const payloadBytesMax = 16 * 1024 * 1024
const envelopeBytesMax = 4 * 1024 * 1024
const historyEventsMax = 20_000

/** What the fields of one operation have asked for is read together: one statement for a page, however long it is. */
export const loadersOf = createContextCache(({ dependencies: { database } }: GraphContext) => {
  const read = <Value>(reader: (client: PoolClient) => Promise<Value>): Promise<Value> =>
    ask(database, reader)
  const archivedById = createLoader<MessageId, Archived>(
    (ids) => read((client) => findArchivedIds(client, ids)),
    (id) => id,
    ({ messageId }) => messageId,
  )
  /**
   * What a message that was found always has can only be missing because the message was archived since it was found. Then this puts
   * the error in place of what is missing, because null or an empty list would be a wrong answer.
   */
  const explain: Explain = async (ids) => {
    const archived = await archivedById.loadMany(ids)
    return archived.map((each) => (each === null || each instanceof Error ? each : refuseArchived(each)))
  }
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
    archived: createLoader<string, Archived & { transactionId: string }>(
      async (ids) =>
        Array.from(await read((client) => findAllArchived(client, ids)), ([transactionId, archived]) => ({
          ...archived,
          transactionId,
        })),
      (id) => id,
      ({ transactionId }) => transactionId,
    ),
    archivedById,
    details: createLoader<MessageId, MessageDetails>(
      (ids) => read((client) => readDetails(client, ids)),
      (id) => id,
      (row) => row.messageId,
      { explain, idOf: (id) => id },
    ),
    destinationUrl: createLoader<string, { instance: string; url: string }>(
      (instances) => read((client) => readDestinationUrls(client, instances)),
      (instance) => instance,
      ({ instance }) => instance,
    ),
    payloadFacts: createLoader<RecordKey, PayloadFacts>(
      (keys) => read((client) => readPayloadFacts(client, keys)),
      nameRecord,
      nameRecord,
      { explain, idOf: ({ messageId }) => messageId },
    ),
    payload: createRecordLoader<{ payload: Buffer | null } & RecordKey>(
      payloadBytesMax,
      'payloads',
      (...bounds) => read((client) => readPayloads(client, ...bounds)),
      explain,
    ),
    envelope: createRecordLoader<RecordEnvelope>(
      envelopeBytesMax,
      'keys and headers',
      (...bounds) => read((client) => readEnvelopes(client, ...bounds)),
      explain,
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
        explain,
      ),
    ),
    conflicts: perArguments((first: number) =>
      createListLoader<{ original: MessageId; message: MessageRow }>(
        (ids) => read((client) => findConflicts(client, ids, first)),
        (conflict) => conflict.original,
        explain,
      ),
    ),
    stateAsOf: perArguments((at: string) =>
      createLoader<MessageId, StateAsOf>(
        (ids) => read((client) => readStatesAsOf(client, ids, at)),
        (id) => id,
        (state) => state.messageId,
        { explain, idOf: (id) => id },
      ),
    ),
  }
  return {
    ...loaders,
    /** After a mutation: what was loaded before it is no longer how things stand. */
    forget: () => {
      loaders.message.clearAll()
      loaders.messageByTransactionId.clearAll()
      loaders.archived.clearAll()
      loaders.archivedById.clearAll()
      loaders.details.clearAll()
      loaders.payloadFacts.clearAll()
      loaders.payload.clearAll()
      loaders.envelope.clearAll()
      loaders.history.forget()
      loaders.stateAsOf.forget()
    },
  }
})

const batchMax = 1_000

/** Finds for each message id the error that says in which archive it is; null if it is in none. */
type Explain = (ids: readonly MessageId[]) => Promise<(Error | null)[]>

/** Puts an error in place of what is missing of archived messages. */
async function explainMissing<Key, Value>(
  keys: readonly Key[],
  values: (Value | Error)[],
  isMissing: (value: Value | Error) => boolean,
  { explain, idOf }: { explain: Explain; idOf: (key: Key) => MessageId },
): Promise<(Value | Error)[]> {
  const missing = keys.filter((_, at) => isMissing(values[at] as Value | Error))
  if (missing.length === 0) return values
  const errors = (await explain(missing.map(idOf))).values()
  return values.map((value) => (isMissing(value) ? (errors.next().value ?? value) : value))
}

/**
 * A loader of at most one value a key; null where there is none.
 *
 * @param always given if each message has such a value until it is archived
 */
function createLoader<Key, Value>(
  load: (keys: readonly Key[]) => Promise<Value[]>,
  nameKey: (key: Key) => string,
  nameValue: (value: Value) => string,
  always: { explain: Explain; idOf: (key: Key) => MessageId } | null = null,
): DataLoader<Key, Value | null, string> {
  return new DataLoader(
    async (keys) => {
      const found = new Map((await load(keys)).map((value) => [nameValue(value), value]))
      const values = keys.map((key) => found.get(nameKey(key)) ?? null)
      return always === null ? values : explainMissing(keys, values, (value) => value === null, always)
    },
    { cacheKeyFn: nameKey, maxBatchSize: batchMax },
  )
}

/** A loader of any number of values a message, in the order in which they are read. */
function createListLoader<Value>(
  load: (ids: readonly MessageId[]) => Promise<Value[]>,
  idOf: (value: Value) => MessageId,
  explain: Explain,
): DataLoader<MessageId, Value[]> {
  return new DataLoader(
    async (ids) => {
      const lists = new Map(ids.map((id): [MessageId, Value[]] => [id, []]))
      for (const value of await load(ids)) lists.get(idOf(value))?.push(value)
      const found = ids.map((id) => lists.get(id) ?? [])
      return explainMissing<MessageId, Value[]>(
        ids,
        found,
        (list) => !(list instanceof Error) && list.length === 0,
        {
          explain,
          idOf: (id) => id,
        },
      )
    },
    { maxBatchSize: batchMax },
  )
}

/** A loader of what records hold, which gives each that does not fit into the answer an error of its own. */
function createRecordLoader<Value extends RecordKey>(
  bytesMax: number,
  what: string,
  load: (keys: readonly RecordKey[], bytesMax: number, firstAlways: boolean) => Promise<Read<Value>[]>,
  explain: Explain,
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
      const values = keys.map((key) => found.get(nameRecord(key)) ?? null)
      return explainMissing(keys, values, (value) => value === null, {
        explain,
        idOf: ({ messageId }) => messageId,
      })
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
