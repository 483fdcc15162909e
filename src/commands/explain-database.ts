import { reasonOf } from '../runtime/reason-of.ts'
import { explainSession } from '../runtime/tool-sessions.ts'

/** Why a command that asks PostgreSQL alone could not run, in one sentence. */
export function explainDatabase(fault: unknown): string {
  return explainSession(fault) ?? reasonOf(fault)
}
