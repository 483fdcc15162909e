import { isLoopback } from '../runtime/is-loopback.ts'
import type { Settings } from './settings.ts'

export type ApiConfig = {
  readonly host: string
  readonly port: number
  readonly tokens: readonly ApiToken[]
  /** Whether anyone may use an address that others can reach, without a token. */
  readonly open: boolean
  /** The address of the service for browsers behind a proxy; null if there is no proxy. */
  readonly publicUrl: PublicUrl | null
  readonly introspection: boolean
  /** Whether a replay by REST needs a reason. */
  readonly reasonsRequired: boolean
}

/**
 * An origin (RFC 6454), and the path under which the proxy serves this service: empty, or without a slash at
 * its end.
 */
type PublicUrl = { readonly origin: string; readonly path: string }

type ApiToken = {
  /** The actor's name in the log. */
  readonly name: string
  readonly role: ApiRole
  /** The token's SHA-256, in lower-case hexadecimal digits; the token itself is never configured. */
  readonly sha256: string
}

export const apiRoles = ['viewer', 'operator'] as const
export type ApiRole = (typeof apiRoles)[number]

/** The form of a token holder's name, which is also the actor's name in the log. */
export const apiTokenName = /^[A-Za-z0-9._@-]{1,64}$/

export function readApi(settings: Settings): ApiConfig {
  const host = settings.text('HOST')
  const tokens = readTokens(settings)
  const open = settings.flag('API_OPEN')
  if (!/^[A-Za-z0-9.:%_-]+$/.test(host))
    settings.fault('HOST must be a host name or an address, without a port.')
  if (!isLoopback(host) && settings.given('API_TOKENS') === null && !open) {
    settings.fault('HOST can be reached from outside: set API_TOKENS, or API_OPEN=true to let anyone in.')
  }
  const publicUrl = readPublicUrl(settings)
  if (publicUrl !== null && !isLocal(publicUrl) && settings.given('API_TOKENS') === null && !open) {
    settings.fault(
      'PUBLIC_URL can be reached from outside: set API_TOKENS, or API_OPEN=true to let anyone in.',
    )
  }
  const introspection = settings.flag('API_INTROSPECTION')
  const reasonsRequired = settings.choice('REASONS', ['optional', 'required']) === 'required'
  const port = settings.integer('PORT', 0, 65_535)
  return { host, port, tokens, open, publicUrl, introspection, reasonsRequired }
}

function readPublicUrl(settings: Settings): PublicUrl | null {
  if (settings.given('PUBLIC_URL') === null) return null
  const url = settings.url('PUBLIC_URL', ['http:', 'https:'])
  if (url === null) return null
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    settings.fault(
      'PUBLIC_URL must be an origin with an optional path, such as https://payments.example/tqp.',
    )
  return { origin: url.origin, path: url.pathname.replace(/\/+$/, '') }
}

function isLocal({ origin }: PublicUrl): boolean {
  return isLoopback(new URL(origin).hostname)
}

function readTokens(settings: Settings): ApiToken[] {
  const tokens: ApiToken[] = []
  const given = settings.given('API_TOKENS')
  for (const [index, entry] of given === null ? [] : given.split(',').entries()) {
    const [name = '', role, hash = '', ...more] = entry.trim().split(':')
    const sha256 = hash.toLowerCase()
    const isWellFormed = apiTokenName.test(name) && /^[0-9a-f]{64}$/.test(sha256) && more.length === 0
    const known = apiRoles.find((each) => each === role?.toLowerCase())
    if (!isWellFormed || known === undefined) {
      settings.fault(`API_TOKENS: entry ${index + 1} is not name:role:sha256 with role viewer or operator.`)
    } else if (tokens.some((token) => token.sha256 === sha256)) {
      settings.fault(`API_TOKENS: entry ${index + 1} has the same token as another entry.`)
    } else {
      tokens.push({ name, role: known, sha256 })
    }
  }
  return tokens
}
