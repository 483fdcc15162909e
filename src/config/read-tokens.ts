import { open } from 'node:fs/promises'
import type { ReadFile } from './read-tls.ts'
import type { Settings } from './settings.ts'

/** Each may do what those before it may. */
export const apiRoles = ['viewer', 'investigator', 'operator'] as const
export type ApiRole = (typeof apiRoles)[number]

export type ApiToken = {
  /** The actor's name in the log. */
  readonly name: string
  readonly role: ApiRole
  /** The token's SHA-256, in lower-case hexadecimal digits; the token itself is never configured. */
  readonly sha256: string
}

/** The form of a token holder's name, which is also the actor's name in the log. */
export const apiTokenName = /^[A-Za-z0-9._@-]{1,64}$/

const fileBytesMax = 1024 * 1024

/** API_TOKENS, or what is in API_TOKENS_FILE when the service starts. */
export function readTokens(settings: Settings, readFile: ReadFile): ApiToken[] {
  const given = settings.given('API_TOKENS')
  const path = settings.given('API_TOKENS_FILE')
  if (given !== null && path !== null) {
    settings.fault('API_TOKENS and API_TOKENS_FILE are both set: put all tokens into the file.')
    return []
  }
  const read = path === null ? readEntries(given) : readFileOf(path, readFile)
  if ('tokens' in read) return read.tokens
  for (const fault of read.faults) settings.fault(fault)
  return []
}

/**
 * Reads the file of tokens as it is now.
 *
 * @throws what the file system throws; an Error with one sentence if it is no such file
 */
export async function readTokenFile(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(fileBytesMax + 1), 0, fileBytesMax + 1, 0)
    if (bytesRead > fileBytesMax) throw new Error(`it has more than ${fileBytesMax} bytes`)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

/**
 * One token a line, like an entry of API_TOKENS; empty lines and lines that begin with # do not count. A file without a token is a fault,
 * because without tokens everybody would be let in.
 */
export function parseTokenFile(text: string): { tokens: ApiToken[] } | { faults: string[] } {
  const lines = text
    .split('\n')
    .map((line, at) => ({ where: `API_TOKENS_FILE: line ${at + 1}`, entry: line.trim() }))
  const entries = lines.filter(({ entry }) => entry !== '' && !entry.startsWith('#'))
  return entries.length === 0 ? { faults: ['API_TOKENS_FILE: it names no token.'] } : parse(entries)
}

function readFileOf(path: string, readFile: ReadFile): { tokens: ApiToken[] } | { faults: string[] } {
  try {
    return parseTokenFile(readFile(path))
  } catch {
    return { faults: ['API_TOKENS_FILE names a file that cannot be read.'] }
  }
}

function readEntries(given: string | null): { tokens: ApiToken[] } | { faults: string[] } {
  const entries = given === null ? [] : given.split(',')
  return parse(entries.map((entry, at) => ({ where: `API_TOKENS: entry ${at + 1}`, entry: entry.trim() })))
}

/** What is wrong is told without the text: somebody may have put the token itself there. */
function parse(
  entries: readonly { where: string; entry: string }[],
): { tokens: ApiToken[] } | { faults: string[] } {
  const tokens: ApiToken[] = []
  const faults: string[] = []
  for (const { where, entry } of entries) {
    const [name = '', role, hash = '', ...more] = entry.split(':')
    const sha256 = hash.toLowerCase()
    const isWellFormed = apiTokenName.test(name) && /^[0-9a-f]{64}$/.test(sha256) && more.length === 0
    const known = apiRoles.find((each) => each === role?.toLowerCase())
    if (!isWellFormed || known === undefined)
      faults.push(`${where} is not name:role:sha256 with role viewer, investigator or operator.`)
    else if (tokens.some((token) => token.sha256 === sha256))
      faults.push(`${where} has the same token as another entry.`)
    else tokens.push({ name, role: known, sha256 })
  }
  return faults.length === 0 ? { tokens } : { faults }
}
