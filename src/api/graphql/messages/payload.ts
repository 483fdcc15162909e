import type { PayloadFacts } from '../../../log/read/read-records.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { PayloadState } from '../enums.ts'
import { decodeText } from './decode-text.ts'
import { loadersOf } from './loaders-of.ts'
import { Message } from './message.ts'
import { seeBytes } from './see-bytes.ts'
import { shownJson } from './shown-json.ts'

type PayloadValue = PayloadFacts & { readonly transactionId: string; readonly sha256: string | null }

const Payload = builder.objectRef<PayloadValue>('Payload').implement({
  description:
    "The truth is the bytes, which only an investigator or an operator sees. text is null where they are not UTF-8; json is null where they are not JSON, deeper than 64 or over 1 MiB, and its numbers are JavaScript's. The bytes of one answer are budgeted.",
  fields: (t) => ({
    text: t.string({
      nullable: true,
      description: 'The bytes as text, character for character; null where they are not UTF-8.',
      resolve: async (payload, _, context) => {
        const bytes = await loadBytes(payload, context)
        return bytes === null ? null : decodeText(bytes)
      },
    }),
    json: t.field({
      type: 'JSON',
      nullable: true,
      description: "The value, with JavaScript's numbers; null where it cannot be shown, see text.",
      resolve: async (payload, _, context) => {
        const bytes = await loadBytes(payload, context)
        return bytes === null ? null : shownJson(bytes)
      },
    }),
    base64: t.string({
      nullable: true,
      description: 'The bytes that are kept, in base64.',
      resolve: async (payload, _, context) => (await loadBytes(payload, context))?.toString('base64'),
    }),
    bytes: t.int({
      nullable: true,
      description:
        'How many bytes were received; null where the record had no value, and 0 once such a record is expunged.',
      resolve: ({ state, bytes }) => (state === 'absent' ? null : bytes),
    }),
    sha256: t.exposeString('sha256', {
      nullable: true,
      description: 'Of the bytes received, in hexadecimal; kept when they are expunged.',
    }),
    state: t.expose('state', { type: PayloadState, description: 'What is left of the bytes.' }),
  }),
})

/** Null where nothing is kept; asked of the database once for all fields. */
function loadBytes(payload: PayloadValue, context: GraphContext): Promise<Buffer | null> {
  const { messageId, version, transactionId, state } = payload
  return seeBytes('payload', transactionId, context, async () => {
    if (state === 'absent' || state === 'expunged') return null
    return (await loadersOf(context).payload.load({ messageId, version }))?.payload ?? null
  })
}

builder.objectField(Message, 'payload', (t) =>
  t.field({
    type: Payload,
    nullable: true,
    description: 'What Kafka handed over, byte for byte; it is what is sent.',
    resolve: async ({ messageId, transactionId }, _, context) => {
      const { payloadFacts, details } = loadersOf(context)
      const [facts, more] = await Promise.all([
        payloadFacts.load({ messageId, version: 1 }),
        details.load(messageId),
      ])
      return facts === null ? null : { ...facts, transactionId, sha256: more?.payloadSha256 ?? null }
    },
  }),
)
