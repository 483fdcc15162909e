import type { Pool } from 'pg'
import type { Resolution, Status } from '../../message/message.ts'
import { findArchived } from '../read/find-archived.ts'
import { isStorable } from '../read/is-storable.ts'
import { rfc3339 } from '../read/rfc3339.ts'
import { namedCall } from './named-call.ts'
import type { Standing } from './replay.ts'

/** What an operator decides about one message. */
export type MessageDecision =
  | { kind: 'hold' | 'release' | 'cancel' | 'reopen' }
  | { kind: 'resolve'; as: Resolution; evidence: string | null }

/** Who decides, and why. Both stay in the log for ever. */
export type DecisionRequest = {
  transactionId: string
  decision: MessageDecision
  actor: string
  reason: string
}

/** What became of a decision. Only `decided` was recorded. */
export type DecisionAnswer =
  /** `version` is of the event. */
  | { kind: 'decided'; version: number; status: Status }
  /** This attempt is open: the decision to hold or to cancel came too late. */
  | { kind: 'already_started'; attempt: number }
  /** There is nothing to hold or to cancel. */
  | { kind: 'already_ended'; status: Status }
  | ({ kind: 'already_held' } & Standing)
  | { kind: 'not_held'; status: Status }
  | { kind: 'not_a_dead_letter'; status: Status }
  | ({ kind: 'already_resolved'; resolution: Resolution } & Standing)
  | { kind: 'not_resolved' }
  /** The message is in this archive: its log takes no more events. */
  | { kind: 'archived'; archive: string }
  | { kind: 'unknown' }

/**
 * Records an operator's decision about one message, in one transaction: to put it on hold or to release it, to cancel it, to resolve a
 * dead letter or to reopen it.
 *
 * @throws what pg throws; if the connection was lost, the decision may have been committed all the same
 */
export async function decideMessage(
  database: Pick<Pool, 'query'>,
  { transactionId, decision, actor, reason }: DecisionRequest,
): Promise<DecisionAnswer> {
  // No message has such an id.
  if (!isStorable(transactionId)) return { kind: 'unknown' }
  const call = namedCall('decide_message', {
    in_transaction_id: transactionId,
    in_decision: decision.kind,
    in_actor: actor,
    in_reason: reason,
    in_resolution: decision.kind === 'resolve' ? decision.as : null,
    in_evidence: decision.kind === 'resolve' ? decision.evidence : null,
  })
  const { rows } = await database.query<DecisionRow>({
    name: 'decide_message',
    text: `select answer, version, status, attempt, resolution, actor, ${rfc3339('since')} as since, reason from ${call.text}`,
    values: call.values,
  })
  const [row] = rows
  if (row === undefined) throw new Error('decide_message() answers one row')
  if (row.answer !== 'unknown') return readAnswer(row)
  const archived = await findArchived(database, transactionId)
  return archived === null ? { kind: 'unknown' } : { kind: 'archived', archive: archived.archive }
}

function readAnswer(row: Exclude<DecisionRow, { answer: 'unknown' }>): DecisionAnswer {
  switch (row.answer) {
    case 'decided':
      return { kind: row.answer, version: row.version, status: row.status }
    case 'already_started':
      return { kind: row.answer, attempt: row.attempt }
    case 'already_ended':
    case 'not_held':
    case 'not_a_dead_letter':
      return { kind: row.answer, status: row.status }
    case 'already_held':
      return { kind: row.answer, actor: row.actor, since: row.since, reason: row.reason }
    case 'already_resolved': {
      const { actor, since, reason, resolution } = row
      return { kind: row.answer, resolution, actor, since, reason }
    }
    case 'not_resolved':
      return { kind: row.answer }
  }
}

type DecisionRow =
  | { answer: 'decided'; version: number; status: Status }
  | { answer: 'already_started'; attempt: number }
  | { answer: 'already_ended' | 'not_held' | 'not_a_dead_letter'; status: Status }
  | ({ answer: 'already_held' } & Standing)
  | ({ answer: 'already_resolved'; resolution: Resolution } & Standing)
  | { answer: 'not_resolved' }
  | { answer: 'unknown' }
