import type pg from 'pg'
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
  position: 'position',
} as const satisfies Partial<Record<keyof StoredState, string>>
const times = {
  dueAt: 'due_at',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
  recordedAt: 'recorded_at',
} as const satisfies Partial<Record<keyof StoredState, string>>

const columnNames = Object.entries(columns) as [keyof typeof columns, string][]
const timeNames = Object.entries(times) as [keyof typeof times, string][]

/** S4: checks the message's row of `message_states`. Call it when all events of the message were read. */
export function checkState(message: Message, state: StoredState | null, { S4 }: Invariants): void {
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

/** S4: checks the counts by status: the latest fold plus the deltas from its bound on. */
export async function checkCounts(
  client: pg.Client,
  folded: Readonly<Record<Status, number>>,
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
  for (const [status, count] of Object.entries(folded) as [Status, number][]) {
    S4.checked++
    const stored = counted.get(status) ?? 0
    if (stored !== count) S4.differ(`count of ${status}`, null, `is ${stored}, folding gives ${count}`)
  }
}

/** Prints microseconds since 1970 as RFC 3339 with six digits. */
function show(micros: number | null): string {
  if (micros === null) return 'null'
  const seconds = new Date(Math.floor(micros / 1_000_000) * 1_000).toISOString().slice(0, -5)
  return `${seconds}.${String(micros % 1_000_000).padStart(6, '0')}Z`
}
