import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { createYoga } from 'graphql-yoga'
import type { AccessLog } from '../accesses/access-log.ts'
import type { ApiDependencies } from '../api-dependencies.ts'
import type { Gate } from '../gate.ts'
import { Streams } from '../stream/streams.ts'
import { compressAnswers } from './compress-answers.ts'
import { createContext, type ServerContext } from './create-context.ts'
import { handle } from './handle.ts'
import { admit } from './limits/admit.ts'
import { limitDocument } from './limits/limit-document.ts'
import { limitTime } from './limits/limit-time.ts'
import { refusePersisted } from './limits/refuse-persisted.ts'
import { refuseSimpleBodies } from './limits/refuse-simple-bodies.ts'
import { maskError } from './mask-error.ts'
import { schema } from './schema.ts'
import { recordReads } from './record-reads.ts'
import { Sockets } from './transport/sockets.ts'
import { useStreams } from './transport/use-streams.ts'

export const graphqlPath = '/graphql'

export type Graphql = ReturnType<typeof createGraphql>

// A thousand ids of 255 bytes each, with room for what JSON adds to them.
const bodyBytesMax = 512 * 1024

/**
 * GraphQL over HTTP, queries and mutations as well as subscriptions (SSE). `yoga.getEnveloped({ viewer })` is the same for another
 * transport: schema, parse, validate, execute and subscribe with all limits and the masking of errors.
 */
export function createGraphql(dependencies: ApiDependencies, gate: Gate, accesses: AccessLog) {
  const { access, logger } = dependencies
  const streams = new Streams(dependencies)
  const mask = (error: unknown) => maskError(error, logger)
  const yoga = createYoga<ServerContext, ReturnType<typeof createContext>>({
    schema,
    graphqlEndpoint: graphqlPath,
    context: () => createContext(dependencies, streams, accesses),
    maskedErrors: { maskError: mask },
    plugins: [
      refuseSimpleBodies(),
      refusePersisted(),
      ...limitDocument(access),
      admit(),
      recordReads(),
      limitTime(),
      useStreams(mask),
      compressAnswers(),
    ],
    maxRequestBodySize: bodyBytesMax,
    // Documents are read anew each time, which costs 0.5 to 0.8 ms (measured): the cache would keep a thousand, whatever their size.
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
  const sockets = new Sockets(yoga.getEnveloped, gate)

  return {
    yoga,
    handle: (request: IncomingMessage, response: ServerResponse) =>
      handle(yoga, gate, dependencies, request, response),
    upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      sockets.upgrade(request, socket, head),
    /** Ends what was opened with a token, by its hash, that is not valid any more. */
    endOthers(isValid: (sha256: string) => boolean): void {
      streams.endOthers(isValid)
      sockets.endOthers(isValid)
    },
    /** Ends what would go on without end: subscriptions and sockets. */
    async close(): Promise<void> {
      await streams.end()
      // The last answers are on their way to the transports.
      await setImmediate()
      await sockets.close()
    },
  }
}
