import {
  journalKinds,
  readJournal,
  type JournalFilter as Filter,
  type JournalKind as Kind,
  type JournalPlace,
} from '../../../log/read/read-journal.ts'
import { normalizeDateTime } from '../../../runtime/date-time.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import { connectionOf } from '../connection-of.ts'
import { decodePageCursor, encodePageCursor } from '../cursor.ts'
import { JournalKind } from '../enums.ts'
import { listPage } from '../list-page.ts'
import { readRange, readText } from '../messages/event-filter.ts'
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

const JournalConnection = connectionOf('Journal', JournalEntry, {
  one: 'decision',
  many: 'decisions',
  edge: 'A decision and its place in the journal.',
  cursor: 'Ask for the decisions after it, which are older.',
  page: 'A page of the journal, newest first.',
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
    resolve: (_, { filter: input, ...page }, { dependencies }) => {
      const filter = readFilter(input ?? {})
      const binding = JSON.stringify(['journal', filter])
      return listPage(page, {
        limits,
        decode: (text) => decode(text, binding),
        read: (after, rowsMax) =>
          ask(dependencies.database, (client) => readJournal(client, filter, after, rowsMax)),
        encode: (entry) => encode(entry, binding),
      })
    },
  }),
)

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
