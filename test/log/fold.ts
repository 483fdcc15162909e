/** An event as the log has it; times as PostgreSQL prints them. */
export type LoggedEvent = {
  message_id: string
  version: number
  type: string
  actor: string
  status: string
  retry_count: number
  attempt: number | null
  outcome: string | null
  reason: string | null
  due_at: string | null
  position: string
  recorded_at: string
  transaction_id: string | null
}

export type FoldedState = {
  message_id: string
  transaction_id: string
  version: number
  status: string
  retry_count: number
  attempts: number
  due_at: string | null
  claimed_by: string | null
  error_message: string | null
  outcome_unknown: boolean
  position: string
  created_at: string
  updated_at: string
  recorded_at: string
}

/**
 * What a message is after its events, written down a second time and one event at a time, so that it shares nothing with the SQL it is held
 * against.
 */
export function fold(events: readonly LoggedEvent[]): FoldedState {
  const [first] = events
  if (first?.transaction_id == null) throw new Error('a message begins with an event that has its identity')
  const state: FoldedState = {
    message_id: first.message_id,
    transaction_id: first.transaction_id,
    version: 0,
    status: 'none',
    retry_count: 0,
    attempts: 0,
    due_at: null,
    claimed_by: null,
    error_message: null,
    outcome_unknown: false,
    position: '0',
    created_at: first.recorded_at,
    updated_at: first.recorded_at,
    recorded_at: first.recorded_at,
  }
  for (const event of events) apply(state, event)
  return state
}

function apply(state: FoldedState, event: LoggedEvent): void {
  if (event.version !== state.version + 1) throw new Error(`version ${event.version} after ${state.version}`)
  if (event.position.padStart(20, '0') < state.position.padStart(20, '0'))
    throw new Error('position went back')
  if (event.recorded_at < state.recorded_at) throw new Error('time went back')
  const before = { ...state }
  Object.assign(state, {
    version: event.version,
    status: event.status,
    retry_count: event.retry_count,
    due_at: event.due_at,
    position: event.position,
    recorded_at: event.recorded_at,
  })
  switch (event.type) {
    case 'attempt_started':
      if (event.attempt !== state.attempts + 1) throw new Error(`attempt ${event.attempt ?? 'null'} started`)
      state.attempts = event.attempt
      state.claimed_by = event.actor
      break
    case 'attempt_failed':
    case 'attempt_abandoned':
    case 'rejected':
      state.error_message = event.reason
      break
    case 'succeeded':
    case 'replayed':
      state.error_message = null
      break
    case 'conflict_received':
      if (event.version === 1) state.error_message = event.reason
      break
    case 'late_result_observed':
      if (event.status === 'success') state.error_message = null
      break
    case 'received':
    case 'dead_lettered':
    case 'duplicate_received':
    case 'expunged':
    case 'held':
    case 'released':
    case 'cancelled':
    case 'resolved':
    case 'reopened':
    case 'inquiry_started':
    case 'inquired':
      break
    default:
      throw new Error(`an event of type ${event.type}`)
  }
  if (event.status !== 'processing') state.claimed_by = null
  if (event.outcome === 'unknown') state.outcome_unknown = true
  const changed =
    before.status !== state.status ||
    before.retry_count !== state.retry_count ||
    before.attempts !== state.attempts
  if (changed) state.updated_at = event.recorded_at
}
