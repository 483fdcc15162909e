import type { ExpungeAnswer } from '../log/write/expunge.ts'

/** Why a message was not expunged. */
export type ExpungeRefusal = Extract<ExpungeAnswer, { kind: 'open' | 'archived' | 'unknown' }>

/** The same sentence for REST and GraphQL. */
export function explainExpunge(transactionId: string, refusal: ExpungeRefusal): string {
  switch (refusal.kind) {
    case 'open':
      return `Transaction ${transactionId} is ${refusal.status}: only a success or a dead letter can be expunged.`
    case 'archived':
      return `Transaction ${transactionId} is archived in ${refusal.archive}: remove it there.`
    case 'unknown':
      return `Transaction ${transactionId} is unknown.`
  }
}
