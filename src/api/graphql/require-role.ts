import { isLine, reasonBytesMax } from '../../message/is-line.ts'
import { may } from '../access.ts'
import type { GraphContext } from './create-context.ts'
import { refuse, refuseText } from './errors.ts'

/**
 * Lets nobody on but investigators and operators, and notes for the accesses that somebody else has tried.
 *
 * @param what they may see, in the plural
 * @throws FORBIDDEN
 */
export function requireInvestigator(what: string, { viewer, bytesRead }: GraphContext): void {
  if (may(viewer, 'investigator')) return
  bytesRead.isRefused = true
  throw refuse(
    'FORBIDDEN',
    `Only an investigator or an operator may see ${what}, and ${viewer.name} is a ${viewer.role}.`,
  )
}

/**
 * Who acts.
 *
 * @throws FORBIDDEN if that is no operator; BAD_USER_INPUT if the reason is none (null where none is asked for)
 */
export function requireOperator(action: string, reason: string | null, { viewer }: GraphContext): string {
  if (!may(viewer, 'operator'))
    throw refuse('FORBIDDEN', `Only an operator may ${action}, and ${viewer.name} is a ${viewer.role}.`)
  if (reason !== null && !isLine(reason, reasonBytesMax)) throw refuseText('reason', reasonBytesMax)
  return viewer.name
}
