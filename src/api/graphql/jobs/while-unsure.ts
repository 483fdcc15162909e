import { DatabaseUnavailable } from '../../ask.ts'
import type { GraphContext } from '../create-context.ts'
import { refuse } from '../errors.ts'

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
