import { ask } from './ask.ts'
import { headOperation } from './operations.ts'

/**
 * Asks where the log ends now, to follow it from there.
 *
 * @throws one sentence for people where the API does not know
 */
export async function askHead(): Promise<string> {
  const { head } = (await ask(headOperation, {})).data
  if (head === null) throw new Error('The service does not say where the log ends.')
  return head.cursor
}
