import type { Pool } from 'pg'
import type { EventType } from '../../message/message.ts'
import type { OutcomeKind } from '../../message/outcome.ts'
import { archivesNow, compareCursors, logStart, type LogCursor } from './log-cursor.ts'
import { epochOf, eventColumns, readLogEvent, type EventRow, type LogEvent } from './log-event.ts'

/** An event must meet all conditions that are given. A list that is given is not empty. */
export type EventFilter = {
  readonly types?: readonly EventType[] | undefined
  readonly outcomes?: readonly OutcomeKind[] | undefined
  readonly transactionIds?: readonly string[] | undefined
  readonly actor?: string | undefined
  /** Inclusive. RFC 3339. */
  readonly recordedFrom?: string | undefined
  /** Exclusive. RFC 3339. */
  readonly recordedTo?: string | undefined
}

export type EventsRequest = {
  /** Reads only events after this place; without it, from the start of the log. */
  readonly after?: LogCursor | null
  /** Reads only events before this place. */
  readonly before?: LogCursor | null
  readonly filter?: EventFilter
  /** The largest number of events to return. */
  readonly rowsMax: number
  /** The largest number of events to look at, so that a filter that few events meet never scans the log in one statement. */
  readonly examinedMax: number
  /** Reads from the end of the range to its start, and returns the newest event first. */
  readonly backwards?: boolean
}

export type CursorFault = 'epoch' | 'above' | 'expired'

export type EventsAnswer =
  | {
      readonly kind: 'read'
      readonly events: LogEvent[]
      /** Everything from `after` to here was looked at (backwards: from `before`). The next read goes on here. */
      readonly stoppedAt: LogCursor
      /** The range was read to its end. Without `before`, its end is the end of the readable log. */
      readonly caughtUp: boolean
    }
  /**
   * `epoch`: the cursor belongs to a log that a restored copy has replaced. `above`: the cursor lies after the end of the log.
   * `expired`: events that come after the cursor were archived since it was handed out, so whoever reads on from it would miss them.
   */
  | { readonly kind: 'refused'; readonly reason: CursorFault }

/**
 * Reads events in the order of the whole log, each message's versions ascending. All of them lie below the watermark, so
 * whatever is appended later lies after `stoppedAt`. A reader that goes on from there misses nothing and sees nothing twice.
 */
export async function readEvents(
  database: Pick<Pool, 'query'>,
  request: EventsRequest,
): Promise<EventsAnswer> {
  const { filter = {}, backwards = false } = request
  const after = request.after ?? logStart
  const before = request.before ?? logEnd
  const { rows } = await database.query<Row>({
    ...(filter.transactionIds === undefined ? walk : ofMessages),
    values: [
      after.position,
      after.messageId,
      after.version,
      before.position,
      before.messageId,
      before.version,
      backwards,
      request.rowsMax,
      filter.types ?? null,
      filter.outcomes ?? null,
      filter.actor ?? null,
      filter.recordedFrom ?? null,
      filter.recordedTo ?? null,
      filter.transactionIds ?? request.examinedMax,
    ],
  })
  const [first] = rows
  if (first === undefined) throw new Error('the bounds are always a row')
  const { archives } = first
  const head: LogCursor = {
    epoch: first.head_epoch,
    position: first.log_end,
    messageId: '0',
    version: 0,
    archives,
  }
  for (const [cursor, epoch] of [
    [request.after, first.after_epoch],
    [request.before, first.before_epoch],
  ] as const) {
    const reason = judge(cursor ?? null, epoch, head)
    if (reason !== null) return { kind: 'refused', reason }
  }
  // Who begins at the start gets what is there.
  const readsOn = !backwards && compareCursors(after, logStart) !== 0
  const { archived_to: archivedTo } = first
  // The last position may have had more of the archived messages: they may lie after the cursor until all of their ids lie before.
  const isBefore =
    archivedTo !== null &&
    compareCursors(after, { ...head, position: archivedTo[0], messageId: archivedTo[1] }) < 0
  if (readsOn && after.archives !== archives && isBefore) return { kind: 'refused', reason: 'expired' }
  return gather(rows, request, backwards ? after : { ...earlier(before, head), archives })
}

const logEnd: LogCursor = { ...logStart, position: '9223372036854775807' }

type Row = {
  log_end: string
  head_epoch: number
  after_epoch: number | null
  before_epoch: number | null
  archives: number
  /**
   * The highest position of an archived event, and an id that is above all archived messages with an event there. For who names
   * messages, only the archives count that have one of these.
   */
  archived_to: [string, string] | null
} & ((Omit<EventRow, 'archives'> & { matches: boolean; place: string }) | { place: null })

function judge(cursor: LogCursor | null, epoch: number | null, head: LogCursor): 'epoch' | 'above' | null {
  if (cursor === null || compareCursors(cursor, logStart) === 0) return null
  if (cursor.epoch !== (epoch ?? 1)) return 'epoch'
  return compareCursors(cursor, head) > 0 ? 'above' : null
}

function gather(rows: Row[], { rowsMax, examinedMax, after }: EventsRequest, end: LogCursor): EventsAnswer {
  const events: LogEvent[] = []
  let stoppedAt = after !== undefined && after !== null && compareCursors(after, end) > 0 ? after : end
  let caughtUp = true
  for (const row of rows) {
    if (row.place === null) continue
    const event = readLogEvent(row)
    if (row.matches) events.push(event)
    if (events.length < rowsMax && Number(row.place) < examinedMax) continue
    stoppedAt = event.cursor
    caughtUp = false
    break
  }
  return { kind: 'read', events, stoppedAt, caughtUp }
}

function earlier(left: LogCursor, right: LogCursor): LogCursor {
  return compareCursors(left, right) < 0 ? left : right
}

/**
 * SQL that adds the bounds of the log to the events that were found, in one snapshot. There is a row for them also without
 * events.
 */
function found(events: string, archives: string): string {
  const event = eventColumns('(e.event)')
  return `with bounds as materialized (
      select log_end() as log_end, l.epoch, l.base, (
          select array[a.highest_position, a.next_message_id]::text[] from ${archives}
          where a.highest_position is not null order by a.highest_position desc, a.next_message_id desc limit 1
        ) as archived_to,
        ${archivesNow} as archives
      from log_epochs l order by l.epoch desc limit 1
    )
    select b.log_end, b.archived_to, b.archives, b.epoch as head_epoch, ${epochOf('$1::bigint')} as after_epoch, ${epochOf('$4::bigint')} as before_epoch,
      case when (e.event).position > b.base then b.epoch else ${epochOf('(e.event).position')} end as epoch,
      ${event}, s.transaction_id, e.matches, e.place
    from bounds b
    left join lateral (${events}) e on true
    left join lateral (
      select m.transaction_id from message_states m where m.message_id = (e.event).message_id limit 1
    ) s on true`
}

const range = `in_after_position => $1, in_after_message_id => $2, in_after_version => $3,
      in_before_position => $4, in_before_message_id => $5, in_before_version => $6, in_backwards => $7, in_rows_max => $8,
      in_types => $9, in_outcomes => $10, in_actor => $11, in_recorded_from => $12, in_recorded_to => $13`

const walk = {
  name: 'read_events',
  text: found(
    `select event, matches, place from read_log(${range}, in_examined_max => $14)`,
    'segment_archives a',
  ),
}
const ofMessages = {
  name: 'read_events_of_messages',
  text: found(
    `select event, true as matches, 0::bigint as place from read_log_of(${range}, in_transaction_ids => $14) event`,
    // Without archives nothing is looked up.
    `unnest(case when exists (select from segment_archives) then $14::text[] end) as u (transaction_id)
          cross join lateral (
            select b.message_id from inbox b where b.transaction_id = u.transaction_id collate "C" limit 1
          ) i
          join segment_archives a on i.message_id >= a.first_message_id and i.message_id < a.next_message_id`,
  ),
}
