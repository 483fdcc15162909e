import type { IncomingMessage } from 'node:http'
import { ulid } from 'ulid'
import type { Logger } from '../runtime/logger.ts'
import { may, type Viewer } from './access.ts'
import { DatabaseUnavailable } from './ask.ts'
import type { ApiDependencies } from './api-dependencies.ts'
import type { Gate } from './gate.ts'
import { matchPath, refusal, type Answer, type Route } from './route.ts'

/**
 * Answers one request by the table of routes; null where the caller went away in the middle of it. Never rejects: what goes
 * wrong is an answer and a line in the log.
 */
export async function respond(
  request: IncomingMessage,
  routes: readonly Route[],
  gate: Gate,
  { logger }: Pick<ApiDependencies, 'logger'>,
): Promise<Answer | null> {
  try {
    return await findAnswer(request, routes, gate)
  } catch (error) {
    return request.destroyed && !request.complete ? null : explainFailure(error, logger)
  }
}

async function findAnswer(request: IncomingMessage, routes: readonly Route[], gate: Gate): Promise<Answer> {
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
  const foreign = method === 'GET' ? null : gate.refuseForeign(request, 'write')
  if (foreign !== null) return refusal(403, foreign)
  const parameter = decode(match.parameter)
  if (parameter === null) return refusal(400, 'The path is not percent-encoded UTF-8.')
  const admitted = admit(request, match.route, gate)
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
  gate: Gate,
): { viewer: Viewer | null } | { refused: Answer } {
  // An open route asks nobody, and so refuses nobody either.
  if (needs === null) return { viewer: null }
  const viewer = gate.identify(request)
  if (typeof viewer === 'string') return { refused: refusal(401, viewer, challenge) }
  if (may(viewer, needs)) return { viewer }
  gate.forbid(request, viewer)
  return { refused: forbidden }
}

// RFC 6750 §3.
export const challenge = { 'WWW-Authenticate': 'Bearer' }
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
