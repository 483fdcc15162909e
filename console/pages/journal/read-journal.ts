import { ask } from '../../api/ask.ts'
import {
  destinationDecisionsOperation,
  operatorEventsOperation,
  type DestinationDecisionsResult,
  type OperatorEventsResult,
  type OperatorEventsVariables,
} from '../../api/operations.ts'
import { formatName, formatRate } from '../../parts/format.ts'

/** One decision. */
export type Entry = {
  /** RFC 3339 in UTC. */
  readonly at: string
  readonly by: 'operator' | 'guard'
  readonly actor: string
  readonly decision: string
  /** Of the payment; null where it is about the destination. */
  readonly transactionId: string | null
  readonly destination: string | null
  readonly reason: string
  readonly evidence: string | null
}

export type Wanted = {
  readonly about: 'all' | 'payments' | 'destination'
  /** Exactly this actor; empty for any. */
  readonly actor: string
  /** RFC 3339; null for open. */
  readonly from: string | null
  readonly to: string | null
}

/** What an operator does to a payment, by the events that record it. */
export const operatorTypes: NonNullable<OperatorEventsVariables['types']> = [
  'REPLAYED',
  'EXPUNGED',
  'HELD',
  'RELEASED',
  'CANCELLED',
  'RESOLVED',
  'REOPENED',
]

/** How far a source was read. A cursor of null is its newest end; `over` means that nothing is left. */
type Source = { readonly cursor: string | null; readonly over: boolean }

export type Journal = {
  /** Newest first, of what was read so far. */
  readonly entries: readonly Entry[]
  readonly events: Source
  readonly decisions: Source
}

export function beginJournal({ about }: Wanted): Journal {
  return {
    entries: [],
    events: { cursor: null, over: about === 'destination' },
    decisions: { cursor: null, over: about === 'payments' },
  }
}

export function isOver({ events, decisions }: Journal): boolean {
  return events.over && decisions.over
}

// The API looks through 50,000 events a page. Of a busy log many pages hold no decision, and a person would press and press.
const pagesMax = 10
const entriesEnough = 20

/** Reads pages of each source until there is something to show, within bounds. */
export async function readOn(journal: Journal, wanted: Wanted): Promise<Journal> {
  let read = journal
  for (let page = 0; page < pagesMax && !isOver(read); page += 1) {
    read = await readPage(read, wanted)
    if (read.entries.length - journal.entries.length >= entriesEnough) break
  }
  return read
}

async function readPage(journal: Journal, wanted: Wanted): Promise<Journal> {
  const [events, decisions] = await Promise.all([
    readEvents(journal.events, wanted),
    readDecisions(journal.decisions, wanted),
  ])
  const entries = [...journal.entries, ...events.entries, ...decisions.entries]
  return {
    entries: entries.sort((left, right) => (left.at < right.at ? 1 : -1)),
    events: events.source,
    decisions: decisions.source,
  }
}

type Read = { readonly source: Source; readonly entries: readonly Entry[] }

async function readEvents(source: Source, { actor, from, to }: Wanted): Promise<Read> {
  if (source.over) return { source, entries: [] }
  const { events } = (
    await ask(operatorEventsOperation, {
      types: operatorTypes,
      actor: actor === '' ? null : actor,
      recordedAt: { from, to },
      before: source.cursor,
    })
  ).data
  // Not the end: the end has a page too.
  if (events === null) throw new Error('The service did not tell the decisions about payments.')
  const { nodes, pageInfo } = events
  return {
    source: { cursor: pageInfo.startCursor, over: !pageInfo.hasPreviousPage },
    entries: nodes.map(toEntry),
  }
}

type EventNode = NonNullable<OperatorEventsResult['events']>['nodes'][number]

function toEntry({ type, resolution, ...event }: EventNode): Entry {
  return {
    at: event.recordedAt,
    by: 'operator',
    actor: event.actor,
    decision: resolution === null ? formatName(type) : `${formatName(type)}: ${formatName(resolution)}`,
    transactionId: event.transactionId,
    destination: null,
    reason: event.reason ?? '',
    evidence: event.evidence,
  }
}

/** There is one destination so far; the API lists them all. */
async function readDecisions(source: Source, { actor, from, to }: Wanted): Promise<Read> {
  if (source.over) return { source, entries: [] }
  const { destinations } = (await ask(destinationDecisionsOperation, { after: source.cursor })).data
  const pages = destinations.map(({ name, decisions }) => {
    if (decisions === null) throw new Error('The service did not tell the decisions about the destination.')
    return { name, decisions }
  })
  const all = pages.flatMap(({ name, decisions }) => decisions.nodes.map((node) => toDecision(name, node)))
  const oldest = all.at(-1)?.at
  const info = pages[0]?.decisions.pageInfo
  // They come newest first, so what is older than the time that is asked for ends it.
  const over = info?.hasNextPage !== true || (from !== null && oldest !== undefined && isBefore(oldest, from))
  const entries = all.filter(
    (entry) =>
      (actor === '' || entry.actor === actor) &&
      (from === null || !isBefore(entry.at, from)) &&
      (to === null || isBefore(entry.at, to)),
  )
  return { source: { cursor: info?.endCursor ?? null, over }, entries }
}

function isBefore(at: string, limit: string): boolean {
  return Date.parse(at) < Date.parse(limit)
}

type DecisionNode = NonNullable<
  DestinationDecisionsResult['destinations'][number]['decisions']
>['nodes'][number]

const operatorCauses = ['OPERATOR', 'RATE']

function toDecision(destination: string, node: DecisionNode): Entry {
  const isRate = node.cause === 'RATE'
  const limit = node.rateLimit === null ? 'no limit' : formatRate(node.rateLimit)
  return {
    at: node.recordedAt,
    by: operatorCauses.includes(node.cause) ? 'operator' : 'guard',
    actor: node.actor,
    decision: isRate ? `rate: ${limit}` : `${formatName(node.state)}: ${formatName(node.cause)}`,
    transactionId: null,
    destination,
    reason: node.reason,
    evidence: null,
  }
}
