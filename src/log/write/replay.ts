import type { Pool } from 'pg'
import type { Resolution, Status } from '../../message/message.ts'
import { findAllArchived } from '../read/find-archived.ts'
import { isStorable } from '../read/is-storable.ts'
import { rfc3339 } from '../read/rfc3339.ts'
import { namedCall } from './named-call.ts'

export type ReplayRequest = {
  /** Who asks, and why. Both stay in the log for ever. */
  actor: string
  reason: string
  /** The caller's name for this request: a second request with this name gets the first one's answer, and does nothing. */
  requestKey: string | null
  /** Whether the operator says that the payments were not carried out: then they may be sent although their keys may be forgotten. */
  confirmNotCarriedOut?: boolean
}

/** How long the processor remembers an idempotency key (null for ever), and the longest time that an attempt may take. */
export type KeyWindow = { readonly keyWindowMs: number | null; readonly leaseMs: number }

/** A decision of an operator that stands: by whom, since when (RFC 3339), and why. */
export type Standing = { actor: string; since: string; reason: string }

const forEver: KeyWindow = { keyWindowMs: null, leaseMs: 0 }

export type ReplayAnswer =
  /** `repeated`: the same request was accepted before. `version` is of the `replayed` event. */
  | { kind: 'replayed' | 'repeated'; version: number; status: Status }
  /** A request of this operator with this name was accepted with another reason. */
  | { kind: 'key_reused' }
  /** A dead letter that may have been carried out, and whose key may be forgotten since `endedAt` (RFC 3339). */
  | { kind: 'key_window_passed'; endedAt: string }
  | { kind: 'not_replayable'; status: Status }
  /** A dead letter whose bytes are gone. */
  | { kind: 'expunged'; status: Status }
  /** A pending or failed message that is on hold. */
  | ({ kind: 'already_held' } & Standing)
  /** A dead letter that has to be reopened first. */
  | ({ kind: 'already_resolved'; resolution: Resolution } & Standing)
  /** The message is in this archive: its log takes no more events. */
  | { kind: 'archived'; archive: string }
  | { kind: 'unknown' }

/**
 * Opens dead letters again: each becomes pending and is due now, with no retries counted. All of it is one transaction, but
 * each id is decided for itself. Of several requests for one message at the same time, one is accepted.
 *
 * @returns one answer for each id, in order
 * @throws what pg throws; if the connection was lost, the replays may have been committed all the same
 */
export async function replayMany(
  database: Pick<Pool, 'query'>,
  transactionIds: readonly string[],
  request: ReplayRequest,
  window: KeyWindow = forEver,
): Promise<ReplayAnswer[]> {
  // No message has another id.
  const known = transactionIds.map((id) => isStorable(id))
  const call = namedCall('replay_messages', {
    in_transaction_ids: transactionIds.filter((_, at) => known[at]),
    in_actor: request.actor,
    in_reason: request.reason,
    in_request_key: request.requestKey,
    in_confirmed: request.confirmNotCarriedOut === true,
    in_key_window_ms: window.keyWindowMs,
    in_lease_ms: window.leaseMs,
  })
  const { rows } = await database.query<ReplayRow>({
    name: 'replay_messages',
    text: `select answer, version, status, ${rfc3339('window_ended_at')} as window_ended_at from ${call.text} order by place`,
    values: call.values,
  })
  const answers = rows.map(readAnswer).values()
  const all = known.map((isKnown) => {
    const answer: Answered | undefined = isKnown ? answers.next().value : { kind: 'unknown' }
    if (answer === undefined) throw new Error('replay_messages() answers a row for each id')
    return answer
  })
  return nameArchived(database, transactionIds, await nameStanding(database, transactionIds, all))
}

/** Opens one dead letter again, as `replayMany` does. */
export async function replay(
  database: Pick<Pool, 'query'>,
  { transactionId, ...request }: ReplayRequest & { transactionId: string },
  window: KeyWindow = forEver,
): Promise<ReplayAnswer> {
  const [answer] = await replayMany(database, [transactionId], request, window)
  if (answer === undefined) throw new Error('one id has one answer')
  return answer
}

/** What the SQL function says. The decision that is in the way is read after it. */
type Answered =
  Exclude<ReplayAnswer, { kind: 'already_held' | 'already_resolved' }> | { kind: 'on_hold' | 'resolved' }

/** Says who decided what stands in the way. The event is in the log for ever, also if the decision does not stand any more. */
async function nameStanding(
  database: Pick<Pool, 'query'>,
  transactionIds: readonly string[],
  answers: readonly Answered[],
): Promise<ReplayAnswer[]> {
  const ids = transactionIds.filter((_, at) => isInTheWay(answers[at]))
  const { rows } =
    ids.length === 0
      ? { rows: [] }
      : await database.query<StandingRow>({
          name: 'find_standing',
          text: `select i.transaction_id, e.type, e.resolution, e.actor, ${rfc3339('e.recorded_at')} as since, e.reason
            from unnest($1::text[]) as u (transaction_id)
            cross join lateral (
              select b.transaction_id, b.message_id from inbox b where b.transaction_id = u.transaction_id collate "C" limit 1
            ) i
            cross join lateral (
              select d.* from message_events d
              where d.message_id = i.message_id and d.type in ('held', 'resolved') order by d.version desc limit 1
            ) e`,
          values: [ids],
        })
  const found = new Map(rows.map((row) => [row.transaction_id, row]))
  return answers.map((answer, at) => {
    if (!isInTheWay(answer)) return answer
    const row = found.get(transactionIds[at] ?? '')
    // Archived since: nameArchived says so.
    if (row === undefined) return { kind: 'unknown' }
    const { actor, since, reason } = row
    return row.type === 'held'
      ? { kind: 'already_held', actor, since, reason }
      : { kind: 'already_resolved', resolution: row.resolution, actor, since, reason }
  })
}

type StandingRow = Standing & { transaction_id: string } & (
    { type: 'held'; resolution: null } | { type: 'resolved'; resolution: Resolution }
  )

function isInTheWay(
  answer: Answered | undefined,
): answer is Extract<Answered, { kind: 'on_hold' | 'resolved' }> {
  return answer?.kind === 'on_hold' || answer?.kind === 'resolved'
}

/** Tells the archived messages from the unknown ones, which the SQL function does not. */
async function nameArchived(
  database: Pick<Pool, 'query'>,
  transactionIds: readonly string[],
  answers: readonly ReplayAnswer[],
): Promise<ReplayAnswer[]> {
  const unknown = transactionIds.filter((id, at) => answers[at]?.kind === 'unknown' && isStorable(id))
  if (unknown.length === 0) return [...answers]
  const archived = await findAllArchived(database, unknown)
  return answers.map((answer, at) => {
    const found = answer.kind === 'unknown' ? archived.get(transactionIds[at] ?? '') : undefined
    return found === undefined ? answer : { kind: 'archived', archive: found.archive }
  })
}

function readAnswer(row: ReplayRow): Answered {
  switch (row.answer) {
    case 'replayed':
    case 'repeated':
      return { kind: row.answer, version: row.version, status: row.status }
    case 'not_replayable':
    case 'expunged':
      return { kind: row.answer, status: row.status }
    case 'key_window_passed':
      return { kind: row.answer, endedAt: row.window_ended_at }
    case 'on_hold':
    case 'resolved':
    case 'key_reused':
    case 'unknown':
      return { kind: row.answer }
  }
}

type ReplayRow =
  | {
      answer: 'replayed' | 'repeated' | 'key_reused' | 'not_replayable' | 'expunged' | 'on_hold' | 'resolved'
      version: number
      status: Status
    }
  | { answer: 'key_window_passed'; window_ended_at: string }
  | { answer: 'unknown'; version: null; status: null }
