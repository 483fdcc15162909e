import type { Pool } from 'pg'
import type { Decision } from '../../message/decide.ts'
import type { Outcome } from '../../message/outcome.ts'
import type { Verdict } from '../../message/verdict.ts'
import { int4Array, int8Array, textArray, timestamptzArray } from './binary-array.ts'
import type { AttemptName } from './to-claim.ts'
import { cleanText } from './clean-text.ts'
import { namedCall } from './named-call.ts'

/** The end of one attempt: what came back, and what follows. */
export type Settlement = AttemptName & {
  outcome: Outcome
  /** Null if the attempt waited in its lane and was not sent. */
  durationMs: number | null
  decision: Decision
  verdict: Verdict
}

/**
 * What became of a settlement. `spared`: it was appended while the destination did not flow, so a failure used up no retry. `already`: the
 * log had the same outcome, as after a COMMIT whose answer was lost. `late`: the attempt had ended otherwise, and the outcome was recorded
 * as observed. `stray`: the log does not know the attempt, and nothing was recorded.
 */
export type SettleAnswer = 'appended' | 'spared' | 'already' | 'late' | 'stray'

/**
 * Appends the outcomes of attempts that `actor` holds, in one transaction.
 *
 * @param settlements in the order in which the attempts ended
 * @returns one answer for each settlement, in order
 * @throws what pg throws; if the connection was lost, the batch may have been committed all the same. It may be sent again
 */
export async function settle(
  database: Pool,
  actor: string,
  settlements: readonly Settlement[],
): Promise<SettleAnswer[]> {
  const call = namedCall('settle_attempts', {
    in_actor: actor,
    in_message_ids: int8Array(settlements.map((each) => BigInt(each.messageId))),
    in_transaction_ids: textArray(settlements.map((each) => each.transactionId)),
    in_attempts: int4Array(settlements.map((each) => each.attempt)),
    in_leases: timestamptzArray(settlements.map((each) => each.leaseEndsAt)),
    in_outcomes: textArray(settlements.map((each) => each.outcome.kind)),
    in_status_codes: int4Array(
      settlements.map((each) => ('statusCode' in each.outcome ? each.outcome.statusCode : null)),
    ),
    in_durations_ms: int4Array(settlements.map((each) => roundOrNull(each.durationMs))),
    in_reasons: textArray(
      settlements.map((each) => ('reason' in each.outcome ? cleanText(each.outcome.reason) : null)),
    ),
    in_delays_ms: int8Array(settlements.map((each) => delayOf(each.decision))),
    in_spared_delays_ms: int8Array(settlements.map((each) => sparedDelayOf(each.decision))),
    in_verdicts: settlements.every((each) => each.verdict === 'success')
      ? null
      : textArray(settlements.map((each) => each.verdict)),
    in_references: settlements.some((each) => referenceOf(each.outcome) !== null)
      ? textArray(settlements.map((each) => referenceOf(each.outcome)))
      : null,
  })
  const { rows } = await database.query<{ answers: SettleAnswer[] }>({
    name: 'settle_attempts',
    text: `select ${call.text} as answers`,
    values: call.values,
  })
  const answers = rows[0]?.answers
  if (answers?.length !== settlements.length)
    throw new Error('settle_attempts() did not answer each settlement')
  return answers
}

export function roundOrNull(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms)
}

/** Returns what the answer calls the payment; null if it does not, or if that is not kept. */
export function referenceOf({ reference }: Pick<Outcome, 'reference'>): string | null {
  return reference && 'text' in reference ? reference.text : null
}

/** Returns the milliseconds until the retry; null if no attempt follows. */
export function delayOf(decision: Decision): bigint | null {
  return decision.then === 'retry' ? BigInt(decision.delayMs) : null
}

/** Returns the milliseconds until the retry of a message that would be exhausted, if it is spared; null for every other. */
export function sparedDelayOf(decision: Decision): bigint | null {
  return decision.then === 'dead_letter' && decision.sparedDelayMs !== null
    ? BigInt(decision.sparedDelayMs)
    : null
}
