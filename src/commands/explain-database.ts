import pg from 'pg'
import { explainConnection } from '../runtime/explain-connection.ts'
import { reasonOf } from '../runtime/reason-of.ts'

// pg gives no code to a connect that takes too long.
const noAnswer = /^timeout (expired|exceeded when trying to connect)$/

/** Why a command that asks PostgreSQL alone could not run, in one sentence: an error of a socket does not say whose it is. */
export function explainDatabase(fault: unknown): string {
  if (!(fault instanceof Error) || fault instanceof pg.DatabaseError) return reasonOf(fault)
  if (!('code' in fault) && !(fault instanceof AggregateError) && !noAnswer.test(fault.message))
    return reasonOf(fault)
  return `The database cannot be reached: ${explainConnection(fault)}.`
}
