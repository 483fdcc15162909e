import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Reply } from './faults.ts'
import { Ledger, type Entry } from './ledger.ts'
import type { Options } from './options.ts'
import { Processor } from './processor.ts'

const outageSecondsMax = 3_600

export interface Serving {
  port: number
  close(): Promise<void>
}

/**
 * Serves the mock processor. Calls `fail` if the ledger cannot be written: nothing may be answered after
 * that.
 */
export async function serve(options: Options, fail: (error: unknown) => void): Promise<Serving> {
  const processor = new Processor(options)
  const ledger =
    options.ledger === undefined
      ? undefined
      : await Ledger.open(options.ledger, (entry) => processor.recall(entry))
  const server = createServer((request, response) => {
    answer(request, response, { options, processor, ledger }).catch((error: unknown) => {
      // A client that disconnects during its request is not a fault of the mock. A ledger that cannot be
      // written is.
      if (!request.destroyed || request.complete) fail(error)
    })
  })
  // Only clients close connections: if the mock closed one just as a request is sent, it would look like a
  // fault.
  server.keepAliveTimeout = 3_600_000
  server.requestTimeout = 0
  server.listen(options.port, options.host)
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => close(server, ledger) }
}

interface Context {
  options: Options
  processor: Processor
  ledger: Ledger | undefined
}

async function answer(request: IncomingMessage, response: ServerResponse, context: Context): Promise<void> {
  const [path, query] = request.url?.split('?') ?? []
  const methods: Record<string, string> = { '/process': 'POST', '/health': 'GET', '/outage': 'POST' }
  const key = /^\/payments\/([^/]+)$/.exec(path ?? '')?.[1]
  const method = path === undefined ? undefined : key === undefined ? methods[path] : 'GET'
  const { requests, effects } = context.processor
  if (method === undefined) send(response, replyOf(404, { detail: 'Not found' }))
  else if (request.method !== method)
    send(response, replyOf(405, { detail: 'Method not allowed' }, { Allow: method }))
  else if (key !== undefined) send(response, tellPayment(key, context))
  else if (path === '/health') send(response, replyOf(200, { status: 'healthy', requests, effects }))
  else if (path === '/outage') send(response, beginOutage(query, context.processor))
  else await carryOut(request, response, context)
}

/** What became of the payment of a key, whether the key itself is forgotten or not. */
function tellPayment(key: string, { processor, options }: Context): Reply {
  const paid = processor.find(decodeURIComponent(key))
  if (paid === null) return replyOf(options.failureStatus, { detail: 'outage' })
  return paid === undefined ? replyOf(404, { detail: 'Not found' }) : replyToSuccess(200, paid)
}

function beginOutage(query: string | undefined, processor: Processor): Reply {
  const seconds = Number(new URLSearchParams(query).get('seconds') || NaN)
  if (!(seconds >= 0 && seconds <= outageSecondsMax))
    return replyOf(400, { detail: `seconds must be a number from 0 to ${outageSecondsMax}` })
  processor.beginOutage(seconds * 1_000)
  return replyOf(200, { status: 'outage', seconds })
}

/**
 * The effect and its line come before the latency: a client that gives up early leaves an effect that it does
 * not know of.
 */
async function carryOut(request: IncomingMessage, response: ServerResponse, context: Context): Promise<void> {
  const { options, processor, ledger } = context
  const body = await buffer(request)
  const key = request.headers['idempotency-key']
  const { entry, success, fault } = processor.decide(typeof key === 'string' ? key : null, body)
  await ledger?.append(entry)
  if (options.latencyMs > 0) await sleep(options.latencyMs)
  if (response.destroyed) return
  const reply = success ? replyToSuccess(entry.status, success) : replyToFailure(entry, options)
  if (fault) fault.act({ reply, request: body, response, socket: request.socket })
  else send(response, reply)
}

/** Every repeat gets the same bytes, even after a restart: all of it is in the ledger. */
function replyToSuccess(status: number, success: Entry): Reply {
  return replyOf(status, {
    status: 'success',
    id: paymentIdOf(success),
    transaction_id: success.transaction_id,
    processed_at: success.at,
  })
}

/** What this processor calls a payment: each effect has another id. Undefined without a key. */
function paymentIdOf({ key, at }: Entry): string | undefined {
  return key === null ? undefined : `pay_${key.slice(0, 12)}_${Date.parse(at).toString(36)}`
}

function replyToFailure({ status }: Entry, options: Options): Reply {
  const retryAfter = options.retryAfter ?? (status === 429 && options.rate !== null ? '1' : undefined)
  const detail =
    status === 422 ? 'This Idempotency-Key came before with other bytes' : `The processor answers ${status}`
  return replyOf(
    status,
    { status: 'error', detail },
    {
      ...(retryAfter === undefined ? {} : { 'Retry-After': retryAfter }),
      ...(status >= 300 && status < 400 ? { Location: '/elsewhere' } : {}),
    },
  )
}

function replyOf(status: number, body: object, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: Buffer.from(JSON.stringify(body)),
  }
}

function send(response: ServerResponse, { status, headers, body }: Reply): void {
  if (status === 204 || status === 304) response.writeHead(status).end()
  else response.writeHead(status, { ...headers, 'Content-Length': body.length }).end(body)
}

/** Open requests get one second for their answer; a request that hangs on purpose is cut. */
async function close(server: Server, ledger: Ledger | undefined): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  const cut = setTimeout(() => server.closeAllConnections(), 1_000)
  await closed
  clearTimeout(cut)
  await ledger?.close()
}
