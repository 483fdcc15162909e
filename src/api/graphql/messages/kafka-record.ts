import type { RecordEnvelope, RecordKey } from '../../../log/read/read-records.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { readBounded } from '../read-bounded.ts'
import { decodeText } from './decode-text.ts'
import { loadersOf } from './loaders-of.ts'
import { seeBytes } from './see-bytes.ts'

/** Coordinates, and where what came with the value is kept. */
export type KafkaRecordValue = RecordKey & {
  /** Of the message in whose answer it stands. */
  readonly transactionId: string
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly offset: string
}

type HeaderValue = { readonly transactionId: string; readonly name: string; readonly value: string | null }

const Header = builder.objectRef<HeaderValue>('Header').implement({
  description:
    'One header of a record. Names may stand several times. Only an investigator or an operator sees values.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name.' }),
    value: t.string({
      nullable: true,
      description: 'Null where it has no value, or one that is not UTF-8.',
      resolve: async (header, _, context) => {
        const value = await seeValue(header, context)
        return value === null ? null : decodeText(Buffer.from(value, 'base64'))
      },
    }),
    valueBase64: t.string({
      nullable: true,
      description: 'Its bytes, in base64.',
      resolve: (header, _, context) => seeValue(header, context),
    }),
  }),
})

export const KafkaRecord = builder.objectRef<KafkaRecordValue>('KafkaRecord').implement({
  description: 'Text forms are null where the bytes are not UTF-8.',
  fields: (t) => ({
    topic: t.exposeString('topic', { description: 'The topic it came from.' }),
    partition: t.exposeInt('partition', { description: 'The partition of the topic.' }),
    incarnation: t.exposeInt('incarnation', {
      description: 'Counts from 1; the next begins when an operator says that the topic was created anew.',
    }),
    offset: t.expose('offset', { type: 'BigInt', description: 'Its offset in the partition.' }),
    key: t.string({
      nullable: true,
      description: 'Its key as text; null once it is expunged. Only an investigator or an operator sees it.',
      resolve: async (record, _, context) => {
        const key = await seeKey(record, context)
        return key === null ? null : decodeText(key)
      },
    }),
    keyBase64: t.string({
      nullable: true,
      description: "Its key's bytes, in base64; null once they are expunged.",
      resolve: async (record, _, context) => (await seeKey(record, context))?.toString('base64'),
    }),
    headers: t.field({
      type: [Header],
      description: 'Its headers, in the order of the record; none once they are expunged.',
      args: { first: t.arg.int({ defaultValue: 100, required: true, description: 'At most 1,000.' }) },
      resolve: async (record, { first }, context) => {
        const shown = readBounded('first', first, 0, 1_000)
        const headers = (await loadEnvelope(record, context))?.headers ?? []
        return headers.slice(0, shown).map(([name, value]) => ({
          transactionId: record.transactionId,
          name,
          value,
        }))
      },
    }),
    headerCount: t.int({
      description: 'How many headers it has; 0 once they are expunged.',
      resolve: async (record, _, context) => (await loadEnvelope(record, context))?.headers.length ?? 0,
    }),
    timestamp: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        "The record's own timestamp, which is its producer's or its broker's; null if it has none.",
      resolve: async (record, _, context) =>
        printTimestamp((await loadEnvelope(record, context))?.timestampMs ?? null),
    }),
  }),
})

function loadEnvelope(
  { messageId, version }: KafkaRecordValue,
  context: GraphContext,
): Promise<RecordEnvelope | null> {
  return loadersOf(context).envelope.load({ messageId, version })
}

function seeKey(record: KafkaRecordValue, context: GraphContext): Promise<Buffer | null> {
  return seeBytes(
    'key',
    record.transactionId,
    context,
    async () => (await loadEnvelope(record, context))?.key ?? null,
  )
}

function seeValue({ transactionId, value }: HeaderValue, context: GraphContext): Promise<string | null> {
  return seeBytes('headers', transactionId, context, () => value)
}

/** Any number can stand in a record; −1 is none, and what is no year of four digits is none either. */
function printTimestamp(timestampMs: string | null): string | null {
  const ms = Number(timestampMs ?? -1)
  if (ms < 0 || ms >= Date.UTC(10_000, 0)) return null
  return new Date(ms).toISOString().replace('Z', '000Z')
}
