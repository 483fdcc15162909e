import type pg from 'pg'
import type { Archives } from './archives.ts'
import type { LogEvent, Status, StoredState } from './event.ts'
import { namedMax, type Invariants } from './invariants.ts'
import { nameOf, type Message } from './message.ts'

/** S4: compares what an event says about its message with the fold. Call it after the event is folded. */
export function checkColumns(message: Message, event: LogEvent, { S4 }: Invariants): void {
  if (
    event.status === message.status &&
    event.retryCount === message.retryCount &&
    event.dueAt === message.dueAt
  )
    return
  const name = nameOf(message)
  if (event.status !== message.status)
    S4.differ(name, event.version, `status is ${event.status}, folding gives ${message.status}`)
  if (event.retryCount !== message.retryCount)
    S4.differ(name, event.version, `retry_count is ${event.retryCount}, folding gives ${message.retryCount}`)
  if (event.dueAt !== message.dueAt)
    S4.differ(name, event.version, `due_at is ${show(event.dueAt)}, folding gives ${show(message.dueAt)}`)
  // Reported once: later events and the projection are compared with what this event says.
  message.status = event.status
  message.retryCount = event.retryCount
  message.dueAt = event.dueAt
}

const columns = {
  transactionId: 'transaction_id',
  version: 'version',
  status: 'status',
  retryCount: 'retry_count',
  attempts: 'attempts',
  claimedBy: 'claimed_by',
  errorMessage: 'error_message',
  outcomeUnknown: 'outcome_unknown',
  isSlow: 'is_slow',
  reference: 'reference',
  position: 'position',
} as const satisfies Partial<Record<keyof StoredState, string>>
const times = {
  createdAt: 'created_at',
  updatedAt: 'updated_at',
  recordedAt: 'recorded_at',
} as const satisfies Partial<Record<keyof StoredState, string>>

const columnNames = Object.entries(columns) as [keyof typeof columns, string][]
const timeNames = Object.entries(times) as [keyof typeof times, string][]

/** S4: checks the message's row of `message_states`. Call it when all events of the message were read. */
export function checkState(message: Message, state: StoredState | null, invariants: Invariants): void {
  const { S4 } = invariants
  const name = nameOf(message)
  S4.checked++
  if (state === null) {
    S4.differ(name, message.version, 'has no row in message_states')
    return
  }
  for (const [key, column] of columnNames)
    if (state[key] !== message[key])
      S4.differ(
        name,
        message.version,
        `message_states.${column} is ${state[key]}, folding gives ${message[key]}`,
      )
  for (const [key, column] of timeNames)
    if (state[key] !== message[key])
      S4.differ(
        name,
        message.version,
        `message_states.${column} is ${show(state[key])}, folding gives ${show(message[key])}`,
      )
  checkPlaced(name, message, state, invariants)
  checkDecided(name, message, state, invariants)
}

/** The projection keeps an event's `due_at` in one of two columns, and names the status twice if the message waits. */
function checkPlaced(name: string, message: Message, state: StoredState, { S4 }: Invariants): void {
  const { version, status, dueAt } = message
  const isOpen = status === 'processing'
  const queue = isOpen || status === 'success' ? null : status
  if (state.queue !== queue)
    S4.differ(name, version, `message_states.queue is ${state.queue}, folding gives ${queue}`)
  for (const [column, stored, folded] of [
    ['due_at', state.dueAt, isOpen ? null : dueAt],
    ['lease_ends_at', state.leaseEndsAt, isOpen ? dueAt : null],
  ] as const)
    if (stored !== folded)
      S4.differ(name, version, `message_states.${column} is ${show(stored)}, folding gives ${show(folded)}`)
}

/** `decided_messages` has a row for what is on hold, and for a resolved dead letter. */
function checkDecided(name: string, message: Message, state: StoredState, { S4 }: Invariants): void {
  const { version, heldAt, resolvedAt, resolution } = message
  const stored = tellDecision(state.decidedAt, state.resolution)
  const folded = tellDecision(heldAt ?? resolvedAt, resolution)
  if (stored !== folded) S4.differ(name, version, `decided_messages says ${stored}, folding gives ${folded}`)
}

function tellDecision(version: number | null, resolution: string | null): string {
  return version === null ? 'nothing' : `${resolution ?? 'on hold'} at version ${version}`
}

/** S4: finds events that the order of the log does not lead to, and open attempts that nobody would find when their lease has ended. */
export async function checkPositions(client: pg.Client, { S4 }: Invariants): Promise<void> {
  const events = await client.query<{ name: string; version: number; missing: string }>(`
    select f.transaction_id as name, e.version, count(*) over () as missing
    from (
      select position, message_id from message_events
      except
      select p.position, u.message_id from event_positions p cross join lateral unnest(p.message_ids) as u(message_id)
    ) m
    join message_events e on e.message_id = m.message_id and e.position = m.position
    left join message_events f on f.message_id = m.message_id and f.version = 1
    order by e.message_id, e.version
    limit ${namedMax}`)
  for (const { name, version } of events.rows) S4.differ(name, version, 'is not in event_positions')
  S4.differMore(Number(events.rows[0]?.missing ?? 0) - events.rows.length)
  const attempts = await client.query<{ name: string; version: number; lost: string }>(`
    select s.transaction_id as name, s.version, count(*) over () as lost
    from message_states s
    where s.status = 'processing'
      and not exists (
        select from overdue_attempts o where o.message_id = s.message_id and o.lease_ends_at = s.lease_ends_at
      )
      and not exists (
        select from lease_checks c join event_positions p on p.position = c.position
        where s.message_id = any (p.message_ids) and c.lease_ends_at >= s.lease_ends_at
      )
    order by s.message_id
    limit ${namedMax}`)
  for (const { name, version } of attempts.rows)
    S4.differ(name, version, 'is processing, and neither in lease_checks nor in overdue_attempts')
  S4.differMore(Number(attempts.rows[0]?.lost ?? 0) - attempts.rows.length)
}

/** S4: finds rows of `message_states` for messages that have no version 1 in the log. */
export async function checkStrayStates(client: pg.Client, { S4 }: Invariants): Promise<void> {
  const { rows } = await client.query<{ name: string; version: number; strays: string }>(`
    select s.transaction_id as name, s.version, count(*) over () as strays
    from message_states s
    where not exists (select from message_events e where e.message_id = s.message_id and e.version = 1)
    limit ${namedMax}`)
  for (const { name, version } of rows)
    S4.differ(name, version, 'is in message_states, but the log has no version 1')
  S4.differMore(Number(rows[0]?.strays ?? 0) - rows.length)
}

/** S4: finds rows of `decided_messages` for messages that the projection does not have. */
export async function checkStrayDecisions(client: pg.Client, { S4 }: Invariants): Promise<void> {
  const { rows } = await client.query<{ message_id: string; version: number; strays: string }>(`
    select d.message_id, d.version, count(*) over () as strays
    from decided_messages d
    where not exists (select from message_states s where s.message_id = d.message_id)
    order by d.message_id
    limit ${namedMax}`)
  for (const row of rows)
    S4.differ(`message ${row.message_id}`, row.version, 'is in decided_messages, but not in message_states')
  S4.differMore(Number(rows[0]?.strays ?? 0) - rows.length)
}

/** S4: checks the counts by status: the latest fold plus the deltas from its bound on. */
export async function checkCounts(
  client: pg.Client,
  folded: Readonly<Record<Status, number>>,
  archives: Archives,
  { S4 }: Invariants,
): Promise<void> {
  const { rows } = await client.query<{ status: Status; counted: string }>(`
    select c.status, sum(c.counted) as counted
    from (
      select pending, processing, success, failed, dead_letter
      from (select * from status_count_folds order by bound desc limit 1) f
      union all
      select pending, processing, success, failed, dead_letter
      from status_count_deltas d where d.position >= (select max(bound) from status_count_folds)
    ) n
    cross join lateral (values ('pending', n.pending), ('processing', n.processing), ('success', n.success),
      ('failed', n.failed), ('dead_letter', n.dead_letter)) as c(status, counted)
    group by c.status`)
  const counted = new Map(rows.map((row) => [row.status, Number(row.counted)]))
  // What was archived and could not be folded counts as the log remembers it.
  const unread = { success: 0, dead_letter: 0 }
  for (const { success, deadLetter } of archives.missing) {
    unread.success += success
    unread.dead_letter += deadLetter
  }
  for (const [status, read] of Object.entries(folded) as [Status, number][]) {
    const count = read + (status === 'success' || status === 'dead_letter' ? unread[status] : 0)
    S4.checked++
    const stored = counted.get(status) ?? 0
    if (stored !== count) S4.differ(`count of ${status}`, null, `is ${stored}, folding gives ${count}`)
  }
}

/** Prints microseconds since 1970 as RFC 3339 with six digits. */
export function show(micros: number | null): string {
  if (micros === null) return 'null'
  const seconds = new Date(Math.floor(micros / 1_000_000) * 1_000).toISOString().slice(0, -5)
  return `${seconds}.${String(micros % 1_000_000).padStart(6, '0')}Z`
}
