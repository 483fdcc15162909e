import { isLine, reasonBytesMax } from '../../../message/is-line.ts'
import { may } from '../../access.ts'
import { DatabaseUnavailable } from '../../ask.ts'
import type { GraphContext } from '../context.ts'
import { refuse, refuseText } from '../errors.ts'

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

/**
 * Asks the database for something that changes a plan or a job.
 *
 * @throws DATABASE_UNAVAILABLE if there was no answer, so that it may have happened
 */
export async function whileUnsure<Answer>(
  line: Readonly<Record<string, unknown>>,
  { dependencies }: GraphContext,
  act: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error
    dependencies.logger.warn({ ...line, reason: error.message }, 'replay job not changed')
    throw refuse(
      'DATABASE_UNAVAILABLE',
      'The database did not answer, and this may have been recorded all the same: look at replayJobs first.',
    )
  }
}
