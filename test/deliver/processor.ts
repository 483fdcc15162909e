import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'
import {
  createDeliverer,
  type Deliverer,
  type DelivererSettings,
} from '../../src/deliver/create-deliverer.ts'
import type { Outcome } from '../../src/message/outcome.ts'
import { Tls, type Pems } from '../../src/runtime/tls.ts'

/** A request as it came over the wire. */
export type Request = { head: string; key: string; body: Buffer; connection: number }

export type Processor = {
  readonly url: URL
  /** Complete requests, in order. */
  readonly requests: Request[]
  /** Every byte that any connection brought, whether a request was complete or not. */
  readonly received: () => string
  /** Connections so far, and those that are open. */
  readonly connections: number
  readonly sockets: ReadonlySet<Socket>
}

type Teardown = Pick<Test, 'teardown'>

/** What a raw processor does with a request: anything that a socket can. */
export type Behaviour = (socket: Socket, request: Request) => void

/**
 * A processor made of a bare TCP (or TLS) server, so that it can answer what no HTTP server would.
 *
 * @param behave called for each complete request
 */
export async function startProcessor(
  t: Teardown,
  behave: Behaviour,
  options: { server?: Server; host?: string; port?: number; onConnection?: (socket: Socket) => void } = {},
): Promise<Processor> {
  const server = options.server ?? createServer({ noDelay: true })
  const secure = options.server !== undefined
  const requests: Request[] = []
  const chunks: Buffer[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => {
    const connection = ++connections
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // Its peer breaks connections as a matter of course.
    socket.on('error', () => undefined)
    const read = requestReader(connection, (request) => {
      requests.push(request)
      behave(socket, request)
    })
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      read(chunk)
    })
    options.onConnection?.(socket)
  })
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: new URL(`${secure ? 'https' : 'http'}://localhost:${port}/process`),
    requests,
    received: () => Buffer.concat(chunks).toString('latin1'),
    get connections() {
      return connections
    },
    sockets,
  }
}

function requestReader(connection: number, onRequest: (request: Request) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = rest.toString('latin1', 0, end)
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
      if (rest.length < end + 4 + length) return
      const body = rest.subarray(end + 4, end + 4 + length)
      rest = rest.subarray(end + 4 + length)
      onRequest({ head, key: /\r\nidempotency-key: (.*)/i.exec(head)?.[1] ?? '', body, connection })
    }
  }
}

/** An answer with the right length, on a connection that stays open. */
export function answer(status: string, body = '', headers = ''): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`
}

const noPems: Pems = { ca: null, cert: null, key: null }

/** A deliverer that is closed with the test. */
export function startDeliverer(
  t: Teardown,
  url: URL,
  { tls = noPems, ...settings }: Partial<Omit<DelivererSettings, 'tls'>> & { tls?: Pems | Tls } = {},
): Deliverer {
  const deliverer = createDeliverer({
    url,
    timeoutMs: 30_000,
    connections: 4,
    headers: {},
    statuses: {
      retryStatuses: (statusCode) => [408, 409, 425, 429].includes(statusCode) || statusCode >= 500,
      unknownStatuses: (statusCode) => [500, 502, 504].includes(statusCode),
    },
    tls: tls instanceof Tls ? tls : new Tls(() => tls),
    ...settings,
  })
  t.teardown(() => deliverer.close())
  return deliverer
}

/** Sends `{}` under the key; the deadline is far away unless given. */
export function send(deliverer: Deliverer, key = 'key-1', withinMs = 30_000): Promise<Outcome> {
  return deliverer.deliver(
    { body: Buffer.from('{}'), idempotencyKey: key, attempt: 1, traceparent: null },
    performance.now() + withinMs,
  )
}

/** Waits until the condition holds; the test's own timeout is the limit. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}
