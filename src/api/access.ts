import type { IncomingMessage } from 'node:http'
import type { ApiConfig, ApiRole } from '../config/read-api.ts'
import { isLoopback } from '../runtime/is-loopback.ts'
import type { Tokens } from './tokens.ts'

/** What the settings say about who may use the API. */
export type Access = Pick<ApiConfig, 'tokens' | 'open' | 'introspection'> &
  Partial<Pick<ApiConfig, 'publicUrl'>>

/** Who asks, and what that one may do. */
export type Viewer = {
  readonly name: string
  readonly role: ApiRole
  /** The SHA-256 of the token, which tells two tokens of one holder apart; null without one. */
  readonly token: string | null
}

/** Why somebody is not let in. */
export type Refusal = {
  readonly reason: RefusalReason
  /** For the caller. */
  readonly sentence: string
  /** Whose token it was, where that is known. */
  readonly name: string | null
}

/** `stranger`: without tokens, a request that does not come from this machine. `role`: a token that is known, and may not do this. */
export type RefusalReason = 'no_token' | 'unknown_token' | 'removed_token' | 'stranger' | 'role'

/** Without tokens whoever reaches the service may do everything: the settings let nobody from outside reach it then. */
export const anonymous: Viewer = { name: 'anonymous', role: 'operator', token: null }

/** Who sends this request by its `Authorization` header (RFC 6750 §2.1), or why nobody may be meant. */
export function authenticate(
  request: Pick<IncomingMessage, 'headers' | 'httpVersion'>,
  { open }: Pick<Access, 'open'>,
  tokens: Tokens,
  authorization = request.headers.authorization,
): Viewer | Refusal {
  if (tokens.count === 0) {
    const stranger = open ? null : explainStranger(request)
    return stranger === null
      ? anonymous
      : { reason: 'stranger', sentence: `${stranger} ${noTokens}`, name: null }
  }
  if (authorization === undefined) return { reason: 'no_token', sentence: tokenNeeded, name: null }
  const [, token] = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(authorization) ?? []
  const found = token === undefined ? null : tokens.find(token)
  if (found === null) return { reason: 'unknown_token', sentence: tokenNeeded, name: null }
  const { name, role, sha256 } = found.token
  if (found.isRemoved) return { reason: 'removed_token', sentence: tokenNeeded, name }
  return { name, role, token: sha256 }
}

const tokenNeeded = 'A token is needed: send it as Authorization: Bearer TOKEN.'
const noTokens =
  'Without tokens only this machine is served: set API_TOKENS (npm run token makes one), or API_OPEN=true to let in whoever comes.'

const ranks: Readonly<Record<ApiRole, number>> = { viewer: 0, investigator: 1, operator: 2 }

/** An operator may do what an investigator may, and an investigator what a viewer may. */
export function may({ role }: Pick<Viewer, 'role'>, needed: ApiRole): boolean {
  return ranks[role] >= ranks[needed]
}

// What proxies add for the one they ask for (RFC 7239, RFC 9110 §7.6.3, and what was usual before); a program has no use for them.
const forwarding =
  /^(forwarded|via|x-forwarded(-.+)?|x-real-ip|x-client-ip|x-cluster-client-ip|x-original-.+|x-envoy-.+|true-client-ip|cf-connecting-ip)$/

/**
 * Why a request does not come from this machine itself; null if it does. Two kinds only look local. A proxy on this machine passes on
 * requests of others: it is recognised by the headers that it adds, or by HTTP/1.0, which nginx before 1.29.7 speaks by default, and no
 * browser and hardly any program. A web page whose name was made to lead to this machine (DNS rebinding) has our origin for the browser; it
 * is recognised by that name in `Host`.
 */
function explainStranger({
  headers,
  httpVersion,
}: Pick<IncomingMessage, 'headers' | 'httpVersion'>): string | null {
  const added = Object.keys(headers).find((name) => forwarding.test(name))
  if (added !== undefined) return `A proxy has passed this request on (it has the header ${added}).`
  if (httpVersion !== '1.1') return 'This request is in HTTP/1.0, as a proxy sends it.'
  return namesThisMachine(headers.host ?? '')
    ? null
    : 'The service was asked by a name that is not localhost.'
}

function namesThisMachine(host: string): boolean {
  return isLoopback(host.toLowerCase().replace(/:\d*$/, ''))
}
