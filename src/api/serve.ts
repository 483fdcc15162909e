import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIPv6, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { ApiRequest, explainFault } from './api-request.ts'
import { AccessLog } from './accesses/access-log.ts'
import type { ApiDependencies } from './api-dependencies.ts'
import { isConsole, serveConsole } from './console/serve-console.ts'
import { Gate } from './gate.ts'
import { createGraphql, graphqlPath, type Graphql } from './graphql/create-graphql.ts'
import { respond, splitTarget } from './respond.ts'
import { Room } from './room.ts'
import { matchPath, refusal, type Route } from './route.ts'
import { routes } from './routes.ts'
import { AnswerOrder } from './answer-order.ts'
import { Tokens } from './tokens.ts'
import { FollowedTokens } from './followed-tokens.ts'
import { write, writeRaw } from './write.ts'

export type ServeOptions = {
  readonly host: string
  /** 0 for any free one; the answer says which. */
  readonly port: number
  /** How many connections there may be at once, beside a few that ask how the service does. */
  readonly connectionsMax?: number
}

export type Serving = {
  readonly port: number
  /** Takes no more requests, lets those in hand finish for a moment, and then ends every connection. */
  readonly close: () => Promise<void>
}

// A request is small and quick to send; whoever takes longer holds a connection on purpose.
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16 * 1024,
  // Node would answer without a body; see explainFault.
  requireHostHeader: false,
} as const
// Closing is the last step of a drain that has ten seconds in all; an answer takes milliseconds while the database is there.
const closeMsMax = 750

/**
 * Starts the HTTP server. It needs no database to start: every route says so by itself while there is none.
 *
 * @throws one sentence if the address cannot be listened on
 */
export async function serve(
  { host, port, connectionsMax = 2_000 }: ServeOptions,
  dependencies: ApiDependencies,
): Promise<Serving> {
  const { access, metrics, logger, tokenFile = null } = dependencies
  const accesses = new AccessLog(dependencies, dependencies.accessesEveryMs)
  const tokens = new Tokens(access.tokens)
  const gate = new Gate({ access, tokens, accesses, metrics, logger })
  const graphql = createGraphql(dependencies, gate, accesses)
  const following =
    tokenFile === null
      ? null
      : new FollowedTokens(tokenFile, {
          tokens,
          accesses,
          metrics,
          logger,
          endOthers: (isValid) => graphql.endOthers(isValid),
        })
  const table = routes({ ...dependencies, tokensFault: () => following?.fault ?? null })
  const order = new AnswerOrder()
  const watched = table.filter(({ needs, path }) => needs === null && path !== '/')
  const server = createServer({ ...limits, IncomingMessage: ApiRequest }, (request, response) => {
    order.begin(response)
    const fault = explainFault(request)
    if (fault !== null) {
      void write(response, fault, true)
      return
    }
    if (room.isReserved(request.socket)) {
      const answering = isOneOf(watched, request) ? respond(request, watched, gate, dependencies) : usedUp
      void Promise.resolve(answering).then((answer) =>
        answer === null ? undefined : write(response, answer, true),
      )
      return
    }
    const { path } = splitTarget(request.url ?? '/')
    // The table answers whole answers; GraphQL has streams, and writes its own. The console is a page that is kept compressed.
    if (isConsole(path)) {
      void serveConsole(request, response, path, dependencies)
      return
    }
    if (path === graphqlPath) {
      void graphql.handle(request, response)
      return
    }
    void respond(request, table, gate, dependencies).then((answer) =>
      // While closing, no connection is kept for a next request.
      answer === null ? undefined : write(response, answer, !server.listening),
    )
  })
  const room = new Room(server, connectionsMax, dependencies)
  server.on('upgrade', (request: ApiRequest, socket: Duplex, head: Buffer) => {
    // What breaks on a socket that is not one of ours yet is its own loss.
    socket.on('error', () => socket.destroy())
    if (room.isReserved(request.socket)) writeRaw(socket, usedUp)
    else graphql.upgrade(request, socket, head)
  })
  server.on('clientError', (error, socket) => refuseMalformed(error, socket, order))
  server.on('checkExpectation', (_request, response: ServerResponse) => {
    order.begin(response)
    void write(response, refusal(417, 'Only 100-continue may be expected.'), true)
  })
  await listen(server, host, port)
  // A connection that cannot be accepted, for want of file descriptors, is that caller's loss and not the service's end.
  server.on('error', (error) =>
    dependencies.logger.warn({ reason: error.message }, 'connection not accepted'),
  )
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      following?.close()
      await close(server, graphql)
      await accesses.close()
    },
  }
}

const usedUp = refusal(503, 'All connections are in use: only health and metrics are answered.', {
  'Retry-After': '5',
})

function isOneOf(table: readonly Route[], { url = '/' }: IncomingMessage): boolean {
  const { path } = splitTarget(url)
  return table.some((route) => matchPath(route, path) !== null)
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explainListen(error, host, port)))
    server.listen({ host, port }, resolve)
  })
  server.removeAllListeners('error')
}

function explainListen(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const address = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
  const sentences: Partial<Record<string, string>> = {
    EADDRINUSE: `PORT: ${address} is in use by another process: stop that one, or set another PORT.`,
    EACCES: `PORT: this user may not listen on ${address}: set a PORT above 1023.`,
    EADDRNOTAVAIL: `HOST: ${host} is not an address of this machine.`,
    ENOTFOUND: `HOST: ${host} is not the name of an address.`,
  }
  const sentence =
    sentences[error.code ?? ''] ?? `HOST, PORT: cannot listen on ${address} (${error.message}).`
  return new Error(sentence, { cause: error })
}

/** What is not HTTP never becomes a request, so it is answered on the bare socket, after the requests before it. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex, order: AnswerOrder): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code ?? ''] ?? 400
  order.refuseInTurn(socket, () =>
    writeRaw(socket, refusal(status, `${STATUS_CODES[status] ?? 'Bad Request'}.`)),
  )
}

async function close(server: Server, graphql: Graphql): Promise<void> {
  if (!server.listening) return
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const timer = setTimeout(() => server.closeAllConnections(), closeMsMax)
  await graphql.close()
  await closed
  clearTimeout(timer)
}
