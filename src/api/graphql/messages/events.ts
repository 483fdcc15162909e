import { logStart, type LogCursor } from '../../../log/read/log-cursor.ts'
import type { LogEvent } from '../../../log/read/log-event.ts'
import { readEvents } from '../../../log/read/read-events.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import { connectionOf, type Page } from '../connection-of.ts'
import type { GraphContext } from '../create-context.ts'
import { decodeLogCursor, encodeLogCursor } from '../cursor.ts'
import { describePage, readPageRequest, type PageArguments } from '../page-request.ts'
import { refuseCursor } from '../refuse-cursor.ts'
import { EventFilter, readEventFilter, type EventFilterInput } from './event-filter.ts'
import { Event } from './event.ts'

const limits = { rowsDefault: 100, rowsMax: 500 }
const examinedMax = 50_000

const EventConnection = connectionOf('Event', Event, {
  one: 'event',
  many: 'events',
  edge: 'An event and its place in the log.',
  cursor: 'Ask for events, or subscribe, after it.',
  page: 'A page of the log.',
})

builder.queryField('events', (t) =>
  t.field({
    type: EventConnection,
    nullable: true,
    description:
      'The whole log in commit-safe order, versions of a message ascending, without what is archived. 100 a page by default, at most 500. A sparse filter examines at most 50,000 rows a page: endCursor is then where it stopped, hasNextPage true, even with no nodes.',
    args: {
      filter: t.arg({ type: EventFilter, description: 'All given conditions hold together.' }),
      first: t.arg.int({ description: 'So many from the start of the range; at most 500.' }),
      after: t.arg.string({ description: 'Only what comes after this cursor of the log.' }),
      last: t.arg.int({ description: 'So many from the end of the range instead; at most 500.' }),
      before: t.arg.string({ description: 'Only what comes before this cursor of the log.' }),
    },
    resolve: (_, { filter, ...page }, context) => readEventPage(filter, page, context),
  }),
)

async function readEventPage(
  input: EventFilterInput | null | undefined,
  page: PageArguments,
  { dependencies }: GraphContext,
): Promise<Page<LogEvent>> {
  const filter = readEventFilter(input)
  const request = readPageRequest<LogCursor>(page, limits, decodeLogCursor)
  const { after, before, backwards, rowsMax } = request
  // One more than is shown says whether there is another page.
  const asked = { after, before, filter, backwards, rowsMax: rowsMax + 1, examinedMax }
  const answer = await ask(dependencies.database, (client) => readEvents(client, asked))
  if (answer.kind === 'refused') throw refuseCursor(answer.reason)
  const shown = answer.events.slice(0, rowsMax)
  const isFull = answer.events.length > rowsMax
  const last = shown.at(-1)?.cursor ?? null
  // Where the search stopped lies beyond what it found, unless it found all there was.
  const stopped = isFull || (answer.caughtUp && last !== null) ? last : answer.stoppedAt
  const near = shown[0]?.cursor ?? stopped
  const [start, end] = (backwards ? [stopped, near] : [near, stopped]).map((cursor) =>
    cursor === null || cursor.position === logStart.position ? null : encodeLogCursor(cursor),
  )
  const events = backwards ? shown.reverse() : shown
  return {
    edges: events.map((event) => ({ cursor: encodeLogCursor(event.cursor), node: event })),
    pageInfo: describePage(request, { start: start ?? null, end: end ?? null, hasMore: !answer.caughtUp }),
  }
}
