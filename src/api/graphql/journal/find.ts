import {
  journalKinds,
  readJournal,
  type JournalEntry as Entry,
  type JournalFilter as Filter,
  type JournalKind as Kind,
  type JournalPlace,
} from '../../../log/read/read-journal.ts'
import { normalizeDateTime } from '../../../runtime/date-time.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../context.ts'
import { decodePageCursor, encodePageCursor } from '../cursor.ts'
import { JournalKind } from '../enums.ts'
import { readRange, readText } from '../messages/event-filter.ts'
import { PageInfo, type PageInfoValue } from '../page-info.ts'
import { describePage, readPageRequest, type PageArguments } from '../page-request.ts'
import { TimeRange, type TimeRangeInput } from '../time-range.ts'
import { JournalEntry } from './entry.ts'

const limits = { rowsDefault: 50, rowsMax: 500 }

type FilterInput = {
  kinds?: Kind[] | null | undefined
  actor?: string | null | undefined
  at?: TimeRangeInput | null | undefined
}

const JournalFilter = builder.inputRef<FilterInput>('JournalFilter').implement({
  description: 'All given conditions hold together.',
  fields: (t) => ({
    kinds: t.field({ type: [JournalKind], description: 'One of these; any if not given.' }),
    actor: t.string({ description: 'By exactly this one.' }),
    at: t.field({ type: TimeRange, description: 'Recorded in this range.' }),
  }),
})

const JournalEdge = builder.objectRef<Entry & { cursor: string }>('JournalEdge').implement({
  description: 'A decision and its place in the journal.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Ask for the decisions after it, which are older.' }),
    node: t.field({ type: JournalEntry, description: 'The decision.', resolve: (entry) => entry }),
  }),
})

type JournalPage = {
  readonly entries: readonly (Entry & { cursor: string })[]
  readonly pageInfo: PageInfoValue
}

const JournalConnection = builder.objectRef<JournalPage>('JournalConnection').implement({
  description: 'A page of the journal, newest first.',
  fields: (t) => ({
    edges: t.field({
      type: [JournalEdge],
      description: 'The decisions with their cursors.',
      resolve: ({ entries }) => [...entries],
    }),
    nodes: t.field({
      type: [JournalEntry],
      description: 'The decisions alone.',
      resolve: ({ entries }) => [...entries],
    }),
    pageInfo: t.expose('pageInfo', { type: PageInfo, description: 'Where the page ends.' }),
  }),
})

builder.queryField('journal', (t) =>
  t.field({
    type: JournalConnection,
    nullable: true,
    description:
      'What operators and the service decided, newest first: about payments, the destination, replay jobs, partitions, archives and epochs. Without what a job or RETAIN_PAYLOAD did to each payment, and without decisions about payments that are archived. 50 a page by default, at most 500.',
    args: {
      filter: t.arg({ type: JournalFilter, description: 'All given conditions hold together.' }),
      first: t.arg.int({ description: 'So many; at most 500.' }),
      after: t.arg.string({ description: 'Only what comes after this cursor, which is older.' }),
    },
    resolve: (_, { filter, ...page }, context) => readPage(filter ?? {}, page, context),
  }),
)

async function readPage(
  input: FilterInput,
  page: PageArguments,
  { dependencies }: GraphContext,
): Promise<JournalPage> {
  const filter = readFilter(input)
  const binding = JSON.stringify(['journal', filter])
  const request = readPageRequest(page, limits, (text) => decode(text, binding))
  // One more than is shown says whether there is another page.
  const found = await ask(dependencies.database, (client) =>
    readJournal(client, filter, request.after, request.rowsMax + 1),
  )
  const entries = found
    .slice(0, request.rowsMax)
    .map((entry) => ({ ...entry, cursor: encode(entry, binding) }))
  return {
    entries,
    pageInfo: describePage(request, {
      start: entries[0]?.cursor ?? null,
      end: entries.at(-1)?.cursor ?? null,
      hasMore: found.length > request.rowsMax,
    }),
  }
}

function readFilter({ kinds, actor, at }: FilterInput): Filter {
  return {
    // In one order, so that the same filter has the same cursors.
    kinds: journalKinds.filter((kind) => kinds?.includes(kind) ?? true),
    actor: actor == null ? null : readText('actor', actor),
    ...readRange('at', at, (from, to) => ({ from: from ?? null, to: to ?? null })),
  }
}

const keyForm = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([1-6]) (0|[1-9]\d{0,9})$/

/** Whether it is one that `encode` makes: a place in time that there is. */
function isKey(key: string): boolean {
  const [, at = ''] = keyForm.exec(key) ?? []
  return normalizeDateTime(at) === at
}

function encode({ at, source, key1, key2 }: JournalPlace, binding: string): string {
  return encodePageCursor(binding, `${at} ${source} ${key2}`, key1)
}

function decode(text: string, binding: string): JournalPlace | null {
  const cursor = decodePageCursor(text, binding, isKey)
  if (cursor === null) return null
  const [, at = '', source = '', key2 = ''] = keyForm.exec(cursor.key) ?? []
  return { at, source: Number(source), key1: cursor.messageId, key2 }
}
