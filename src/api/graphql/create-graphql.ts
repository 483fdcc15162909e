import type { IncomingMessage, ServerResponse } from 'node:http'
import { createYoga } from 'graphql-yoga'
import { authenticate } from '../access.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { refusal } from '../route.ts'
import { write } from '../write.ts'
import { createContext, type GraphContext, type ServerContext } from './context.ts'
import { maskError } from './errors.ts'
import { schema } from './schema.ts'

export const graphqlPath = '/graphql'

export type Graphql = ReturnType<typeof createGraphql>

/**
 * GraphQL over HTTP, queries and mutations as well as subscriptions (SSE). `yoga.getEnveloped({ viewer })` is the same for another
 * transport: schema, parse, validate, execute and subscribe with all limits and the masking of errors.
 */
export function createGraphql(dependencies: ApiDependencies) {
  const yoga = createYoga<ServerContext, Pick<GraphContext, 'dependencies'>>({
    schema,
    graphqlEndpoint: graphqlPath,
    context: () => createContext(dependencies),
    maskedErrors: { maskError: (error) => maskError(error, dependencies.logger) },
    // maskError has its own line, and what Yoga would add is written with another logger's words.
    logging: false,
    // Yoga would let any page of the world read the answers.
    cors: false,
    graphiql: false,
    landingPage: false,
    multipart: false,
    batching: false,
  })
  return { yoga, handle: (request: IncomingMessage, response: ServerResponse) => handle(request, response) }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const viewer = authenticate(request.headers.authorization, dependencies.access)
    if (viewer === null) write(response, unauthenticated, true)
    else await yoga(request, response, { viewer })
  }
}

const unauthenticated = refusal(401, 'A token is needed.', { 'WWW-Authenticate': 'Bearer' })
