import { createHash, timingSafeEqual } from 'node:crypto'
import type { ApiConfig, ApiRole } from '../config/read-api.ts'

/** What the settings say about who may use the API. */
export type Access = Pick<ApiConfig, 'tokens' | 'introspection'>

/** Who asks, and what that one may do. */
export type Viewer = { readonly name: string; readonly role: ApiRole }

/** Without tokens whoever reaches the service may do everything: the settings let nobody from outside reach it then. */
export const anonymous: Viewer = { name: 'anonymous', role: 'operator' }

/**
 * Who sends this `Authorization` header (RFC 6750 §2.1); null where tokens are configured and none of them is in it. Every
 * token is compared, each in constant time, so that how long it takes tells nothing of them.
 */
export function authenticate(authorization: string | undefined, { tokens }: Access): Viewer | null {
  if (tokens.length === 0) return anonymous
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
