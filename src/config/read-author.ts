import { userInfo } from 'node:os'
import { isLine, operatorBytesMax, reasonBytesMax } from '../message/is-line.ts'

/**
 * Who decides, from `--operator` or else the user of this shell, and why, from `--reason`.
 *
 * @throws an Error with one sentence
 */
export function readAuthor(flags: { operator?: string | undefined; reason?: string | undefined }): {
  operator: string
  reason: string
} {
  const { reason = '', operator = findUser() } = flags
  if (!isLine(reason, reasonBytesMax))
    throw new Error(`--reason must be one line of 1 to ${reasonBytesMax} bytes: the log keeps it.`)
  if (!isLine(operator, operatorBytesMax))
    throw new Error(`--operator must be one line of 1 to ${operatorBytesMax} bytes that names who decides.`)
  return { operator: operator.trim(), reason: reason.trim() }
}

/** Who has given these flags, as far as it is known; null if nobody says. */
export function authorOf(flags: Readonly<Record<string, unknown>>): string | null {
  const { operator } = flags
  const author = typeof operator === 'string' ? operator : findUser()
  return author.trim() === '' ? null : author.trim()
}

/** Empty if the system does not know the user's number, as in a container. */
function findUser(): string {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}
