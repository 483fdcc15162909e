import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { GraphQLError, type ExecutionArgs, type ExecutionResult } from 'graphql'
import {
  CloseCode,
  handleProtocols,
  makeServer,
  type Context,
  type ServerOptions,
  type SubscribePayload,
} from 'graphql-ws'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Viewer } from '../../access.ts'
import type { Gate } from '../../gate.ts'
import { refusal } from '../../route.ts'
import { Admission } from '../../stream/admission.ts'
import { writeRaw } from '../../write.ts'
import { clientOf } from '../../stream/client-of.ts'
import type { ServerContext } from '../create-context.ts'
import { refuse } from '../errors.ts'
import { carry } from './carry.ts'
import { relay } from './relay.ts'

// A close frame has room for 123 bytes of UTF-8 (RFC 6455 §5.5).
const tokenMissing = 'Forbidden: a token is needed, as connectionParams: { Authorization: "Bearer TOKEN" }'
const tokenUnknown = 'Forbidden: this token is not known'

/** What Yoga makes of a context: the schema, and all steps of an operation with the limits in them. */
export type Envelop = (context: ServerContext) => {
  schema: ExecutionArgs['schema']
  parse: (source: string) => ExecutionArgs['document']
  validate: (schema: ExecutionArgs['schema'], document: ExecutionArgs['document']) => readonly GraphQLError[]
  contextFactory: () => unknown
  execute: (args: ExecutionArgs) => unknown
  subscribe: (args: ExecutionArgs) => unknown
}

type Extra = {
  readonly request: IncomingMessage
  readonly send: (text: string) => Promise<void> | void
  readonly close: (code: number, reason: string) => Promise<void> | void
  viewer: Viewer | null
}
type Operation = ExecutionArgs & Pick<ReturnType<Envelop>, 'execute' | 'subscribe'>

// A client sends operations, and these are small.
const messageBytesMax = 128 * 1_024
const subscriptionsPerSocketMax = 100
const socketsPerClientMax = 1_500
const socketsMax = 1_900
const closeMsMax = 500

/** RFC 6455 §7.4.1; graphql-ws' client connects again after it. */
const serviceRestart = 1_012

/**
 * GraphQL over WebSocket (the graphql-transport-ws protocol) on the HTTP server's own port. The token is in the request's
 * `Authorization` header. A browser cannot set it, so it may also be in the payload of connection_init: as `Authorization`, or in `headers`.
 */
export class Sockets {
  readonly #envelop: Envelop
  readonly #gate: Gate
  readonly #server: WebSocketServer
  readonly #protocol = makeServer<Record<string, unknown>, Extra>(this.#options())
  readonly #admission = new Admission(socketsPerClientMax, socketsMax)
  readonly #open = new Set<Extra>()

  constructor(envelop: Envelop, gate: Gate) {
    this.#envelop = envelop
    this.#gate = gate
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: messageBytesMax,
      perMessageDeflate: false,
      handleProtocols,
    })
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // A browser lets any page open a socket to anywhere, and sends no preflight.
    const foreign = this.#gate.refuseForeign(request, 'ask')
    if (foreign !== null) {
      refuseUpgrade(socket, 403, foreign)
      return
    }
    // The token may still come with connection_init.
    const mayFollow = request.headers.authorization === undefined && this.#gate.hasTokens
    const viewer = mayFollow ? null : this.#gate.identify(request)
    if (typeof viewer === 'string') {
      refuseUpgrade(socket, 401, viewer)
      return
    }
    const client = clientOf(viewer, request)
    if (this.#admission.enter(client) !== null) {
      refuseUpgrade(socket, 429, 'There are too many sockets open: try again later.')
      return
    }
    socket.once('close', () => this.#admission.leave(client))
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      carry(webSocket, socket, (connection) => {
        const extra: Extra = {
          request,
          viewer,
          send: (text) => connection.send(text),
          close: (code, reason) => connection.close(code, reason),
        }
        this.#open.add(extra)
        webSocket.once('close', () => this.#open.delete(extra))
        return this.#protocol.opened(connection, extra)
      })
    })
  }

  /** Closes the sockets whose token, by its hash, is not valid any more. */
  endOthers(isValid: (sha256: string) => boolean): void {
    for (const { viewer, close } of this.#open) {
      const token = viewer?.token ?? null
      if (token !== null && !isValid(token)) void close(CloseCode.Forbidden, tokenUnknown)
    }
  }

  /** Tells every client to connect again, and ends those who do not answer. */
  async close(): Promise<void> {
    const { clients } = this.#server
    for (const each of clients) each.close(serviceRestart, 'Service restart')
    const timer = setTimeout(() => {
      for (const each of clients) each.terminate()
    }, closeMsMax)
    await Promise.all([...clients].map(closed))
    clearTimeout(timer)
  }

  #options(): ServerOptions<Record<string, unknown>, Extra> {
    return {
      onConnect: ({ extra, connectionParams }) => {
        const given = authorizationOf(connectionParams) ?? authorizationOf(connectionParams?.headers)
        if (given !== undefined || extra.viewer === null) {
          const viewer = this.#gate.identify(extra.request, given)
          extra.viewer = typeof viewer === 'string' ? null : viewer
        }
        if (extra.viewer !== null) return true
        // graphql-ws would say "Forbidden" and no more; this close comes before its own, and a socket closes once.
        void extra.close(CloseCode.Forbidden, given === undefined ? tokenMissing : tokenUnknown)
        return false
      },
      onSubscribe: (context, _id, operation) => this.#prepare(context, operation),
      onOperation: ({ extra }, id, _operation, _args, result) =>
        Symbol.asyncIterator in result
          ? relay(result as AsyncIterable<ExecutionResult>, id, extra.send)
          : undefined,
      execute: (args) => (args as Operation).execute(args) as never,
      subscribe: (args) => (args as Operation).subscribe(args) as never,
    }
  }

  /** Checks an operation as it would be over HTTP. */
  async #prepare(
    { extra, subscriptions }: Context<Record<string, unknown>, Extra>,
    operation: SubscribePayload,
  ): Promise<Operation | readonly GraphQLError[]> {
    if (extra.viewer === null) return [refuse('UNAUTHENTICATED', 'A token is needed.')]
    if (Object.keys(subscriptions).length > subscriptionsPerSocketMax)
      return [
        refuse(
          'TOO_MANY_SUBSCRIPTIONS',
          `A connection may have ${subscriptionsPerSocketMax} subscriptions at once.`,
        ),
      ]
    const { request, viewer } = extra
    const { schema, parse, validate, contextFactory, execute, subscribe } = this.#envelop({
      viewer,
      client: clientOf(viewer, request),
      address: request.socket.remoteAddress,
    })
    try {
      const document = parse(operation.query)
      const errors = validate(schema, document)
      if (errors.length > 0) return errors
      return {
        schema,
        document,
        operationName: operation.operationName,
        variableValues: operation.variables,
        contextValue: await contextFactory(),
        execute,
        subscribe,
      }
    } catch (error) {
      if (error instanceof GraphQLError) return [error]
      throw error
    }
  }
}

/** Clients write it either way, and some put what would be headers under `headers`. */
function authorizationOf(params: unknown): string | undefined {
  if (typeof params !== 'object' || params === null) return undefined
  const [, given] = Object.entries(params).find(([name]) => name.toLowerCase() === 'authorization') ?? []
  return typeof given === 'string' ? given : undefined
}

async function closed(socket: WebSocket): Promise<void> {
  if (socket.readyState === socket.CLOSED) return
  await new Promise((resolve) => socket.once('close', resolve))
}

function refuseUpgrade(socket: Duplex, status: number, detail: string): void {
  writeRaw(socket, refusal(status, detail))
}
