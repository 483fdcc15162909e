import pg from 'pg'
import { namesDatabase } from '../config.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { DatabaseUnreached, explainSession } from '../runtime/tool-sessions.ts'

// SQLSTATE: undefined table, undefined column, undefined schema, undefined function.
const noSchema = new Set(['42P01', '42703', '3F000', '42883'])

/** Whether the database does not hold what this release asks of it. */
export function lacksLog(fault: unknown): fault is pg.DatabaseError {
  return fault instanceof pg.DatabaseError && noSchema.has(fault.code ?? '')
}

/**
 * Why a command that asks PostgreSQL alone could not run, in one sentence. Whoever has not given it the service's settings is told.
 *
 * @param otherwise what it says where neither the connection nor a missing log is the fault
 */
export function explainDatabase(fault: unknown, otherwise: string = reasonOf(fault)): string {
  if (lacksLog(fault))
    return `The database does not hold the log of this release (${reasonOf(fault)}): start the service once.`
  if (fault instanceof DatabaseUnreached && !namesDatabase())
    return `${fault.message} No setting names a database, so the embedded one was asked, which runs with the service.`
  return explainSession(fault) ?? otherwise
}
