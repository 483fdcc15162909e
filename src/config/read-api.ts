import { isLoopback } from '../runtime/is-loopback.ts'
import type { ReadFile } from './read-tls.ts'
import { readTokens, type ApiToken } from './read-tokens.ts'
import type { Settings } from './settings.ts'

export type { ApiRole, ApiToken } from './read-tokens.ts'

export type ApiConfig = {
  readonly host: string
  readonly port: number
  /** The tokens that are valid at the start. */
  readonly tokens: readonly ApiToken[]
  /** Where they are read from, again and again; null if the settings name them. */
  readonly tokensFile: string | null
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

export function readApi(settings: Settings, readFile: ReadFile): ApiConfig {
  const host = settings.text('HOST')
  const tokens = readTokens(settings, readFile)
  const tokensFile = settings.given('API_TOKENS_FILE')
  const hasTokens = settings.given('API_TOKENS') !== null || tokensFile !== null
  const open = settings.flag('API_OPEN')
  if (!/^[A-Za-z0-9.:%_-]+$/.test(host))
    settings.fault('HOST must be a host name or an address, without a port.')
  if (!isLoopback(host) && !hasTokens && !open) {
    settings.fault('HOST can be reached from outside: set API_TOKENS, or API_OPEN=true to let anyone in.')
  }
  const publicUrl = readPublicUrl(settings)
  if (publicUrl !== null && !isLocal(publicUrl) && !hasTokens && !open) {
    settings.fault(
      'PUBLIC_URL can be reached from outside: set API_TOKENS, or API_OPEN=true to let anyone in.',
    )
  }
  const introspection = settings.flag('API_INTROSPECTION')
  const reasonsRequired = settings.choice('REASONS', ['optional', 'required']) === 'required'
  const port = settings.integer('PORT', 0, 65_535)
  return { host, port, tokens, tokensFile, open, publicUrl, introspection, reasonsRequired }
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
