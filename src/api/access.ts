import { createHash, timingSafeEqual } from 'node:crypto'
import type { ApiConfig, ApiRole } from '../config/read-api.ts'
import { isLoopback } from '../runtime/is-loopback.ts'

/** What the settings say about who may use the API. */
export type Access = Pick<ApiConfig, 'tokens' | 'open' | 'introspection'>

/** Who asks, and what that one may do. */
export type Viewer = { readonly name: string; readonly role: ApiRole }

/** Without tokens whoever reaches the service may do everything: the settings let nobody from outside reach it then. */
export const anonymous: Viewer = { name: 'anonymous', role: 'operator' }

/** The headers that say who asks, and under which name he asks for us. */
export type Credentials = { readonly authorization?: string | undefined; readonly host?: string | undefined }

/**
 * Who sends this `Authorization` header (RFC 6750 §2.1); null where tokens are configured and none of them is in it. Every
 * token is compared, each in constant time, so that how long it takes tells nothing of them.
 */
export function authenticate({ authorization, host }: Credentials, access: Access): Viewer | null {
  const { tokens, open } = access
  if (tokens.length === 0) return open || namesThisMachine(host) ? anonymous : null
  const [, token] = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(authorization ?? '') ?? []
  if (token === undefined) return null
  const hash = createHash('sha256').update(token).digest()
  const known = tokens.filter(({ sha256 }) => timingSafeEqual(hash, Buffer.from(sha256, 'hex')))
  return known[0] === undefined ? null : { name: known[0].name, role: known[0].role }
}

/** An operator may do what a viewer may. */
export function may({ role }: Viewer, needed: ApiRole): boolean {
  return role === 'operator' || role === needed
}

/**
 * A page whose name was made to lead to this machine (DNS rebinding) is of our own origin for its reader's browser, but asks
 * for us by that name. HTTP/1.0 knows no Host, and a browser always sends one.
 */
function namesThisMachine(host: string | undefined): boolean {
  if (host === undefined) return true
  return isLoopback(
    host
      .toLowerCase()
      .replace(/:\d*$/, '')
      .replace(/^\[(.*)\]$/, '$1'),
  )
}
