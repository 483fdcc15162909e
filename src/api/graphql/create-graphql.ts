import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { createYoga } from 'graphql-yoga'
import { authenticate } from '../access.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { isForeign } from '../is-foreign.ts'
import { json, type Answer } from '../route.ts'
import { Streams } from '../stream/streams.ts'
import { write } from '../write.ts'
import { clientOf, createContext, type GraphContext, type ServerContext } from './context.ts'
import { maskError, type ErrorCode } from './errors.ts'
import { admit } from './limits/admit.ts'
import { limitDocument } from './limits/limit-document.ts'
import { limitTime } from './limits/limit-time.ts'
import { refuseSimpleBodies } from './limits/refuse-simple-bodies.ts'
import { schema } from './schema.ts'
import { Sockets } from './sockets.ts'
import { useStreams } from './use-streams.ts'

export const graphqlPath = '/graphql'

export type Graphql = ReturnType<typeof createGraphql>

// A thousand ids of 255 bytes each, with room for what JSON adds to them.
const bodyBytesMax = 512 * 1024

/**
 * GraphQL over HTTP, queries and mutations as well as subscriptions (SSE). `yoga.getEnveloped({ viewer })` is the same for another
 * transport: schema, parse, validate, execute and subscribe with all limits and the masking of errors.
 */
export function createGraphql(dependencies: ApiDependencies) {
  const { access, logger } = dependencies
  const streams = new Streams(dependencies)
  const mask = (error: unknown) => maskError(error, logger)
  const yoga = createYoga<ServerContext, Pick<GraphContext, 'dependencies' | 'streams'>>({
    schema,
    graphqlEndpoint: graphqlPath,
    context: () => createContext(dependencies, streams),
    maskedErrors: { maskError: mask },
    plugins: [refuseSimpleBodies(), ...limitDocument(access), admit(), limitTime(), useStreams(mask)],
    maxRequestBodySize: bodyBytesMax,
    // Documents are parsed anew each time: the cache keeps a thousand, whatever their size, and saves a fraction of a millisecond.
    parserAndValidationCache: false,
    batching: false,
    multipart: false,
    // Yoga would let any page of the world read the answers.
    cors: false,
    // maskError has its own line, and what Yoga would add is written with another logger's words.
    logging: false,
    graphiql: false,
    landingPage: false,
  })
  const sockets = new Sockets(yoga.getEnveloped, access)

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const viewer = authenticate(request.headers.authorization, access)
    if (viewer === null || isForeign(request)) {
      write(response, isForeign(request) ? foreign : unauthenticated, false)
      return
    }
    response.setHeader('Cache-Control', 'no-store').setHeader('X-Content-Type-Options', 'nosniff')
    try {
      await yoga(request, response, { viewer, client: clientOf(viewer, request) })
    } catch (error) {
      // Yoga answers what fails; what it throws is about the connection.
      logger.warn({ reason: String(error) }, 'answer not sent')
      response.destroy()
    }
  }

  return {
    yoga,
    handle,
    upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      sockets.upgrade(request, socket, head),
    /** Ends what would go on without end: subscriptions and sockets. */
    async close(): Promise<void> {
      streams.end()
      await sockets.close()
    },
  }
}

const foreign = refusal(403, 'FORBIDDEN', 'Pages of another origin may not ask.')
const unauthenticated = refusal(
  401,
  'UNAUTHENTICATED',
  'A token is needed: send it as Authorization: Bearer TOKEN.',
  { 'WWW-Authenticate': 'Bearer' },
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
