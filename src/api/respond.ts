import type { IncomingMessage } from 'node:http'
import { ulid } from 'ulid'
import type { Logger } from '../runtime/logger.ts'
import { authenticate, may, type Access, type Viewer } from './access.ts'
import { DatabaseUnavailable } from './ask.ts'
import type { ApiDependencies } from './dependencies.ts'
import { isForeign } from './is-foreign.ts'
import { matchPath, refusal, type Answer, type Route } from './route.ts'

/**
 * Answers one request by the table of routes; null where the caller went away in the middle of it. Never rejects: what goes
 * wrong is an answer and a line in the log.
 */
export async function respond(
  request: IncomingMessage,
  routes: readonly Route[],
  { access, logger }: Pick<ApiDependencies, 'access' | 'logger'>,
): Promise<Answer | null> {
  try {
    return await findAnswer(request, routes, access)
  } catch (error) {
    return request.destroyed && !request.complete ? null : explainFailure(error, logger)
  }
}

async function findAnswer(
  request: IncomingMessage,
  routes: readonly Route[],
  access: Access,
): Promise<Answer> {
  const { path, query } = splitTarget(request.url ?? '/')
  const matches = routes.flatMap((route) => {
    const parameter = matchPath(route, path)
    return parameter === null ? [] : [{ route, parameter }]
  })
  if (matches.length === 0) return refusal(404, 'There is no such route: / lists them all.')
  const method = request.method === 'HEAD' ? 'GET' : request.method
  const match = matches.find(({ route }) => route.method === method)
  if (match === undefined) {
    const allowed = matches
      .flatMap(({ route }) => (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]))
      .join(', ')
    return refusal(405, `Only ${allowed} is allowed here.`, { Allow: allowed })
  }
  if (method !== 'GET' && isForeign(request)) return refusal(403, 'Pages of another origin may not write.')
  const parameter = decode(match.parameter)
  if (parameter === null) return refusal(400, 'The path is not percent-encoded UTF-8.')
  const admitted = admit(request, match.route, access)
  if ('refused' in admitted) return admitted.refused
  return match.route.answer({
    request,
    parameter,
    query: new URLSearchParams(query),
    viewer: admitted.viewer,
  })
}

/** Who may be let through to the route: anyone where it is open. */
function admit(
  request: IncomingMessage,
  { needs }: Route,
  access: Access,
): { viewer: Viewer | null } | { refused: Answer } {
  const viewer = authenticate(request.headers, access)
  if (needs === null || (viewer !== null && may(viewer, needs))) return { viewer }
  return { refused: viewer === null ? unauthenticated : forbidden }
}

// RFC 6750 §3.
export const unauthenticated = refusal(401, 'A token is needed: send it as Authorization: Bearer TOKEN.', {
  'WWW-Authenticate': 'Bearer',
})
const forbidden = refusal(403, 'This token may only look: an operator is needed.', {
  'WWW-Authenticate': 'Bearer error="insufficient_scope"',
})

/**
 * Splits a request's target by hand: `URL` would resolve `%2e%2e`, which is a transaction id like any other. A proxy may send
 * the whole URL (RFC 9112 §3.2.2).
 */
export function splitTarget(target: string): { path: string; query: string } {
  const local = target.replace(/^https?:\/\/[^/?]*/i, '')
  const at = local.indexOf('?')
  return at === -1 ? { path: local, query: '' } : { path: local.slice(0, at), query: local.slice(at + 1) }
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** The caller gets a name for the failure, and only the log what is behind it. */
function explainFailure(error: unknown, logger: Logger): Answer {
  const id = ulid()
  if (error instanceof DatabaseUnavailable) {
    logger.warn({ error_id: id, reason: error.message }, 'request without the database')
    return refusal(503, `The database does not answer: try again later. (${id})`, { 'Retry-After': '5' })
  }
  logger.error({ error_id: id, err: error }, 'request failed')
  return refusal(500, `Something went wrong that should not have: the log tells more under ${id}.`)
}
