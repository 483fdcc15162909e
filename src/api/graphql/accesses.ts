import { listAccesses, type Access as AccessValue } from '../../log/read/list-accesses.ts'
import { isStorable } from '../../log/read/is-storable.ts'
import { isLine } from '../../message/is-line.ts'
import { ask } from '../ask.ts'
import { builder } from './builder.ts'
import { connectionOf } from './connection-of.ts'
import { decodeNumberCursor, encodeNumberCursor } from './cursor.ts'
import { AccessKind } from './enums.ts'
import { refuse, refuseText } from './errors.ts'
import { listPage } from './list-page.ts'
import { readBounded } from './read-bounded.ts'
import { requireInvestigator } from './require-role.ts'

const limits = { rowsDefault: 50, rowsMax: 200 }
const list = 'accesses'
const whatBytesMax = 128
const exportedRowsMax = 1_000_000_000

const Access = builder.objectRef<AccessValue>('Access').implement({
  description: 'That somebody came to the data, or that something was done that no event of a message tells.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its number, in the order in which accesses were written.' }),
    recordedAt: t.expose('recordedAt', {
      type: 'DateTime',
      description:
        "By the database's clock. A refused login is written up to a minute later: see details.since.",
    }),
    kind: t.expose('kind', { type: AccessKind, description: 'What it was.' }),
    actor: t.exposeString('actor', {
      nullable: true,
      description:
        'The holder of the token, or the author of the command; null where nobody is known. On LOGIN_REFUSED, whose removed token it was, or who may not do this.',
    }),
    role: t.exposeString('role', { nullable: true, description: 'The role of the token.' }),
    address: t.exposeString('address', {
      nullable: true,
      description:
        'Where the connection came from; of IPv6 the network of 64 bits. Behind a proxy it is the proxy. Null on LOGIN_REFUSED for all that were not told apart.',
    }),
    instance: t.exposeString('instance', {
      nullable: true,
      description: 'The instance that recorded it; null for a command.',
    }),
    databaseUser: t.exposeString('databaseUser', {
      description: 'The role of the database that wrote it: of a command, as whom it connected.',
    }),
    name: t.exposeString('name', {
      nullable: true,
      description:
        'The name of the operation, which its client chose, of the command, of what was exported, or why a login was refused.',
    }),
    amount: t.expose('amount', {
      type: 'BigInt',
      description: 'How many: refusals, messages whose bytes were read, or rows that were exported.',
    }),
    transactionIds: t.exposeStringList('transactionIds', {
      nullable: true,
      description: 'On PAYLOAD_READ: whose bytes were read, the first thousand.',
    }),
    startedBy: t.exposeID('started', {
      nullable: true,
      description: 'On COMMAND_ENDED: the id of its COMMAND_STARTED.',
    }),
    details: t.field({
      type: 'JSON',
      description: 'What else is known, by kind: docs/api.md lists it.',
      resolve: ({ details }) => details,
    }),
  }),
})

const AccessConnection = connectionOf('Access', Access, {
  one: 'access',
  many: 'accesses',
  edge: 'An access and its place in the list.',
  cursor: 'Ask for the accesses after it, which are older.',
  page: 'A page of accesses, newest first.',
})

const AccessFilter = builder.inputType('AccessFilter', {
  description: 'All given conditions hold together.',
  fields: (t) => ({
    kind: t.field({ type: [AccessKind], description: 'Any of these kinds.' }),
    actor: t.string({ description: 'Of this holder of a token, or author.' }),
    transactionId: t.id({
      description: 'PAYLOAD_READ of this message, as far as it is among the thousand that a row names.',
    }),
  }),
})

builder.queryField('accesses', (t) =>
  t.field({
    type: AccessConnection,
    description:
      'Who came to the data, newest first: refused logins, payloads that were read, exports, commands, starts of the service and changes of tokens. For investigators and operators. 50 a page by default, at most 200.',
    args: {
      filter: t.arg({ type: AccessFilter, description: 'All given conditions hold together.' }),
      first: t.arg.int({ description: 'So many; at most 200.' }),
      after: t.arg.string({ description: 'Only what comes after this cursor, which is older.' }),
    },
    resolve: (_, { filter, ...page }, context) => {
      requireInvestigator('accesses', context)
      const { kind: kinds = null, actor = null, transactionId = null } = filter ?? {}
      // What an unset variable of a shell leaves would find nobody, which is no answer to who has read what.
      for (const [name, text] of Object.entries({ actor, transactionId }))
        if (text === '') throw refuse('BAD_USER_INPUT', `${name} is empty: name one, or leave it out.`)
      const isNobody = [actor, transactionId].some((text) => text !== null && !isStorable(text))
      return listPage(page, {
        limits,
        decode: (text) => decodeNumberCursor(text, list),
        read: async (after, rowsMax) =>
          isNobody
            ? []
            : ask(context.dependencies.database, (client) =>
                listAccesses(client, { kinds, actor, transactionId }, after, rowsMax),
              ),
        encode: ({ id }) => encodeNumberCursor(list, id),
      })
    },
  }),
)

builder.mutationField('recordExport', (t) =>
  t.field({
    type: 'ID',
    description:
      'Records that this client has exported something, as it says itself: the service only answers queries, and does not know what becomes of the answers. Every role may, 60 times a minute. The answer is the id of the access.',
    args: {
      what: t.arg.string({ required: true, description: 'What was exported; 1 to 128 bytes.' }),
      format: t.arg.string({ required: true, description: 'In which form, as csv or jsonl; 1 to 32 bytes.' }),
      rows: t.arg.int({ required: true, description: 'How many rows.' }),
    },
    resolve: async (_, { what, format, rows }, { viewer, address, client, accesses }) => {
      if (!isLine(what, whatBytesMax)) throw refuseText('what', whatBytesMax)
      if (!isLine(format, 32)) throw refuseText('format', 32)
      const asking = { viewer, address, operation: null }
      const exported = { what, format, rows: readBounded('rows', rows, 0, exportedRowsMax) }
      const id = await accesses.exported(asking, client, exported)
      if (id !== null) return id
      throw refuse('COST_EXCEEDED', 'Too many exports were recorded in this minute: try again in a minute.')
    },
  }),
)
