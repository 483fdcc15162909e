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
  requireLine('reason', reason)
  if (!isLine(operator, operatorBytesMax))
    throw new Error(`--operator must be one line of 1 to ${operatorBytesMax} bytes that names who decides.`)
  return { operator: operator.trim(), reason: reason.trim() }
}

export { evidenceBytesMax, requestKeyBytesMax } from '../message/is-line.ts'

/**
 * Refuses a flag's value that the log cannot keep.
 *
 * @throws an Error with one sentence
 */
export function requireLine(flag: string, text: string, bytesMax = reasonBytesMax): void {
  if (!isLine(text, bytesMax))
    throw new Error(`--${flag} must be one line of 1 to ${bytesMax} bytes: the log keeps it.`)
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
