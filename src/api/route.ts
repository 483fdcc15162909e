import type { IncomingMessage } from 'node:http'
import type { ApiRole } from '../config/read-api.ts'
import type { Viewer } from './access.ts'

/** One request for a route: what its handler may look at. */
export type Call = {
  readonly request: IncomingMessage
  /** What stood in the path in place of the route's `{parameter}`, decoded; empty if it has none. */
  readonly parameter: string
  readonly query: URLSearchParams
  /** Who asks; null only on an open route. */
  readonly viewer: Viewer | null
}

/** What a handler answers; `respond` writes it. Expected failures are answers too. */
export type Answer = {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export type Route = {
  /** GET answers HEAD too. */
  readonly method: 'GET' | 'POST'
  /** A literal path, or one whose last segment is a `{parameter}`. */
  readonly path: string
  readonly about: string
  /** The role one needs where tokens are configured; null if the route is open to all. */
  readonly needs: ApiRole | null
  readonly answer: (call: Call) => Promise<Answer> | Answer
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n`, headers }
}

/** Every failure has this shape. The sentence is for people and tells nothing of what lies behind the API. */
export function refusal(
  status: number,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return json(status, { detail }, headers)
}

/** The parameter of a path that the route matches, still encoded, or null where it does not match. */
export function matchPath(route: Route, path: string): string | null {
  const open = route.path.indexOf('{')
  if (open === -1) return path === route.path ? '' : null
  const rest = path.startsWith(route.path.slice(0, open)) ? path.slice(open) : ''
  return rest === '' || rest.includes('/') ? null : rest
}
