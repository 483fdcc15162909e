import type { DecisionAnswer } from '../log/write/decide-message.ts'

/** Why nothing was decided. */
export type DecisionRefusal = Exclude<DecisionAnswer, { kind: 'decided' }>

/** A decision of an operator that is in the way of another one, or of a replay. */
type Standing = Extract<DecisionRefusal, { kind: 'already_held' | 'already_resolved' }>

/** Names who decided first. The same sentence for a decision and for a replay. */
export function explainStanding(transactionId: string, standing: Standing): string {
  const { since, actor, reason } = standing
  const decided = `since ${since}, by ${actor}: ${reason}`
  return standing.kind === 'already_held'
    ? `Transaction ${transactionId} is on hold ${decided}`
    : `Transaction ${transactionId} is resolved as ${standing.resolution} ${decided}`
}

/** A sentence for people. */
export function explainDecision(transactionId: string, refusal: DecisionRefusal): string {
  const message = `Transaction ${transactionId}`
  switch (refusal.kind) {
    case 'already_started':
      return `Attempt ${refusal.attempt} of ${transactionId} is open: it was sent, or is about to be.`
    case 'already_ended':
      return `${message} is ${refusal.status}: only one that is pending or failed can be held or cancelled.`
    case 'already_held':
    case 'already_resolved':
      return explainStanding(transactionId, refusal)
    case 'not_held':
      return `${message} is ${refusal.status}, and not on hold.`
    case 'not_a_dead_letter':
      return `${message} is ${refusal.status}: only a dead letter can be resolved or reopened.`
    case 'not_resolved':
      return `${message} is a dead letter that is open already.`
    case 'archived':
      return `${message} is archived in ${refusal.archive}: it takes no more events.`
    case 'unknown':
      return `${message} is unknown.`
  }
}
