import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ApiDependencies } from '../api-dependencies.ts'
import type { Gate } from '../gate.ts'
import { wantsPage } from '../page/serve-page.ts'
import { servePlayground } from '../playground/serve-playground.ts'
import { challenge } from '../respond.ts'
import { json, type Answer } from '../route.ts'
import { write } from '../write.ts'
import { clientOf } from '../stream/client-of.ts'
import type { ServerContext } from './create-context.ts'
import type { ErrorCode } from './errors.ts'

type Yoga = (request: IncomingMessage, response: ServerResponse, context: ServerContext) => unknown

/** Answers a request for /graphql: the playground's page for a browser that comes by, and operations for whoever may ask. */
export async function handle(
  yoga: Yoga,
  gate: Gate,
  { logger }: Pick<ApiDependencies, 'logger'>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    if (wantsPage(request)) {
      await servePlayground(request, response)
      return
    }
    const foreign = gate.refuseForeign(request, 'ask')
    if (foreign !== null) {
      await write(response, refusal(403, 'FORBIDDEN', foreign), false)
      return
    }
    const viewer = gate.identify(request)
    if (typeof viewer === 'string') {
      await write(response, refusal(401, 'UNAUTHENTICATED', viewer, challenge), false)
      return
    }
    if (wantsSingleConnection(request)) {
      // The phrase is all that graphql-sse's client shows of an answer (RFC 9112 §4: its words are free).
      response.statusMessage = 'Leave out singleConnection: each subscription has a connection of its own'
      await write(response, singleConnection, false)
      return
    }
    response.setHeader('Cache-Control', 'no-store').setHeader('X-Content-Type-Options', 'nosniff')
    await yoga(request, response, {
      viewer,
      client: clientOf(viewer, request),
      address: request.socket.remoteAddress,
    })
  } catch (error) {
    // Yoga answers what fails in an operation; here the page could not be made, or the connection broke.
    logger.error({ err: error }, 'request failed')
    if (response.headersSent) response.destroy()
    else await write(response, failed, true)
  }
}

/**
 * A client of graphql-sse in its single connection mode reserves a stream by PUT, and names it in each later request. Operations would
 * then outlive the request that they came with.
 */
function wantsSingleConnection({ method, headers }: IncomingMessage): boolean {
  return method === 'PUT' || headers['x-graphql-event-stream-token'] !== undefined
}

const singleConnection = refusal(
  405,
  'BAD_REQUEST',
  'GraphQL is asked by GET and POST here. The single connection mode of graphql-sse is not supported: leave out singleConnection.',
  { Allow: 'GET, POST' },
)
const failed = refusal(
  500,
  'INTERNAL_SERVER_ERROR',
  'Something went wrong that should not have: the log tells more.',
)

/** A refusal in the shape that GraphQL's clients read; this one type is understood by all of them, old and new. */
function refusal(
  status: number,
  code: ErrorCode,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return json(status, { errors: [{ message, extensions: { code } }] }, headers)
}
