import { countMessages } from '../../../log/read/messages/count-messages.ts'
import type { MessageFilter as LogFilter } from '../../../log/read/messages/filter.ts'
import { listMessages, type MessagePlace } from '../../../log/read/messages/list-messages.ts'
import { columnOf, type MessageOrder as Order, type PageKey } from '../../../log/read/messages/order.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { Count } from '../count.ts'
import { decodePageCursor, encodePageCursor, isBigint } from '../cursor.ts'
import { normalizeDateTime } from '../../../runtime/date-time.ts'
import { MessageOrder } from '../enums.ts'
import { PageInfo, type PageInfoValue } from '../page-info.ts'
import { describePage, readPageRequest, type PageArguments } from '../page-request.ts'
import { MessageFilter, readMessageFilter } from './message-filter.ts'
import { Message } from './message.ts'

const limits = { rowsDefault: 20, rowsMax: 200 }
// With conditions that look into the log of each, a walk of as many takes a few hundred milliseconds.
const examinedMax = 20_000
// Reading, filtering and sorting as many takes tens of milliseconds.
const smallMax = 10_000

type Edge = MessagePlace & { readonly cursor: string }

type MessagePage = {
  readonly edges: readonly Edge[]
  readonly pageInfo: PageInfoValue
  readonly filter: LogFilter
  readonly order: Order
}

const MessageEdge = builder.objectRef<Edge>('MessageEdge').implement({
  description: 'A message and its place in the list.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Its place, in this order and with this filter.' }),
    node: t.field({ type: Message, description: 'The message.', resolve: ({ message }) => message }),
  }),
})

const MessageConnection = builder.objectRef<MessagePage>('MessageConnection').implement({
  description: 'A page of messages.',
  fields: (t) => ({
    edges: t.field({
      type: [MessageEdge],
      description: 'The messages with their cursors.',
      resolve: ({ edges }) => [...edges],
    }),
    nodes: t.field({
      type: [Message],
      description: 'The messages alone.',
      resolve: ({ edges }) => edges.map((edge) => edge.message),
    }),
    pageInfo: t.expose('pageInfo', { type: PageInfo, description: 'Where the page ends.' }),
    totalCount: t.field({
      type: Count,
      nullable: true,
      description: 'How many messages all pages have together.',
      resolve: ({ filter, order }, _, { dependencies }) =>
        ask(dependencies.database, (client) => countMessages(client, filter, order, smallMax)),
    }),
  }),
})

builder.queryField('messages', (t) =>
  t.field({
    type: MessageConnection,
    nullable: true,
    description:
      'The messages that are in the database; archived ones are not listed. At most 200 a page, 20 by default. A cursor is bound to its order and filter; another one is refused (CURSOR_INVALID).',
    args: {
      filter: t.arg({ type: MessageFilter, description: 'All given conditions hold together.' }),
      orderBy: t.arg({
        type: MessageOrder,
        required: true,
        defaultValue: 'CREATED_DESC',
        description: 'The order, which cursors are bound to.',
      }),
      first: t.arg.int({ description: 'So many from the start of the list; at most 200.' }),
      after: t.arg.string({ description: 'Only what comes after this cursor.' }),
      last: t.arg.int({ description: 'So many from the end of the list instead; at most 200.' }),
      before: t.arg.string({ description: 'Only what comes before this cursor.' }),
    },
    resolve: (_, { filter, orderBy, ...page }, context) =>
      readMessagePage(readMessageFilter(filter), orderBy, page, context),
  }),
)

async function readMessagePage(
  filter: LogFilter,
  order: Order,
  page: PageArguments,
  { dependencies }: GraphContext,
): Promise<MessagePage> {
  const binding = JSON.stringify([order, Object.entries(filter).sort()])
  const isKey = columnOf(order) === 'due_at' ? isInstant : isBigint
  const request = readPageRequest<PageKey>(page, limits, (text) => decodePageCursor(text, binding, isKey))
  const { rowsMax, backwards } = request
  // One more than is shown says whether there is another page.
  const asked = { ...request, filter, order, rowsMax: rowsMax + 1, examinedMax, smallMax }
  const { found, stoppedAt } = await ask(dependencies.database, (client) => listMessages(client, asked))
  const encode = (place: PageKey) => encodePageCursor(binding, place.key, place.messageId)
  const edges = found.slice(0, rowsMax).map((each) => ({ ...each, cursor: encode(each.place) }))
  const isFull = found.length > rowsMax
  // Where the search stopped lies beyond what it found.
  const far = isFull || stoppedAt === null ? (edges.at(-1)?.cursor ?? null) : encode(stoppedAt)
  const near = edges[0]?.cursor ?? far
  const [start, end] = backwards ? [far, near] : [near, far]
  if (backwards) edges.reverse()
  return {
    edges,
    pageInfo: describePage(request, { start, end, hasMore: isFull || stoppedAt !== null }),
    filter,
    order,
  }
}

function isInstant(text: string): boolean {
  return normalizeDateTime(text) === text
}
