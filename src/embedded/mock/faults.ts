import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** What the processor answers without the fault. */
export interface Reply {
  status: number
  headers: Record<string, string>
  body: Buffer
}

export interface Fault {
  /** The name of its flag. */
  name: string
  help: string
  /** Whether a request with this fault has its effect: by the success rate, always, or never. */
  effect: 'as_drawn' | 'always' | 'never'
  /** Sends what the client gets. It may leave the connection in any state. */
  act: (request: FaultedRequest) => void
}

interface FaultedRequest {
  reply: Reply
  request: Buffer
  response: ServerResponse
  socket: Socket
}

/** Every fault on the wire that processors are known for. */
export const faults: Fault[] = [
  {
    name: 'lost-answers',
    help: 'the effect is done, then the connection is reset before the answer',
    effect: 'always',
    act: ({ socket }) => socket.resetAndDestroy(),
  },
  {
    name: 'hang',
    help: 'the request is taken and never answered',
    effect: 'never',
    act: () => undefined,
  },
  {
    name: 'reset',
    help: 'the connection is reset, with no effect',
    effect: 'never',
    act: ({ socket }) => socket.resetAndDestroy(),
  },
  {
    name: 'wrong-length',
    help: 'the body ends ten bytes before its Content-Length',
    effect: 'as_drawn',
    act: ({ reply, socket }) => socket.end(raw(reply, reply.body.length + 10)),
  },
  {
    name: 'slow-bytes',
    help: 'the body comes one byte a second',
    effect: 'as_drawn',
    act: ({ reply, response }) => drip(response.writeHead(reply.status, reply.headers), reply.body),
  },
  {
    name: 'half-answer',
    help: 'the connection is reset in the middle of the answer',
    effect: 'as_drawn',
    act: ({ reply, socket }) => {
      const bytes = raw(reply, reply.body.length)
      socket.write(bytes.subarray(0, bytes.length - Math.ceil(reply.body.length / 2)), () =>
        socket.resetAndDestroy(),
      )
    },
  },
  {
    name: 'html',
    help: '200 with a page of HTML',
    effect: 'always',
    act: ({ response }) =>
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>Welcome</title>\n'),
  },
  {
    name: 'broken-json',
    help: '200 with JSON that ends too early',
    effect: 'always',
    act: ({ response }) =>
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"status":"succ'),
  },
  {
    name: 'empty',
    help: '200 with no body',
    effect: 'always',
    act: ({ response }) => response.writeHead(200).end(),
  },
  {
    name: 'echo',
    help: 'the answer repeats the request, card numbers and all',
    effect: 'as_drawn',
    act: ({ reply, request, response }) => response.writeHead(reply.status, reply.headers).end(request),
  },
  {
    name: 'huge-answer',
    help: 'the body has 2 GB',
    effect: 'as_drawn',
    act: ({ reply, response }) => pour(response.writeHead(reply.status, reply.headers)),
  },
  {
    name: 'huge-header',
    help: 'a header has 1 MB',
    effect: 'as_drawn',
    act: ({ reply, socket }) =>
      socket.end(raw(withHeader(reply, 'X-Huge', 'x'.repeat(1_048_576)), reply.body.length)),
  },
  {
    name: 'dirty-headers',
    help: 'headers with colour codes, a bare carriage return and an injected line',
    effect: 'as_drawn',
    act: ({ reply, socket }) =>
      socket.end(
        raw(
          withHeader(reply, 'X-Dirty', '\u001b[31mred\u001b[0m\rbare\r\nX-Injected: yes'),
          reply.body.length,
        ),
      ),
  },
  {
    name: 'informational',
    help: 'a flood of 1xx answers and no final one',
    effect: 'never',
    act: ({ socket }) => socket.end('HTTP/1.1 102 Processing\r\n\r\n'.repeat(10_000)),
  },
]

/** The raw bytes of an answer that Node's server would refuse to send. */
function raw(reply: Reply, contentLength: number): Buffer {
  const headers = Object.entries(reply.headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `HTTP/1.1 ${reply.status} Fault\r\n${headers.join('')}Content-Length: ${contentLength}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), reply.body])
}

function withHeader(reply: Reply, name: string, value: string): Reply {
  return { ...reply, headers: { ...reply.headers, [name]: value } }
}

function drip(response: ServerResponse, body: Buffer): void {
  let sent = 0
  const timer = setInterval(() => {
    response.write(body.subarray(sent, sent + 1))
    sent += 1
    if (sent >= body.length) response.end()
  }, 1_000)
  response.flushHeaders()
  response.once('close', () => clearInterval(timer))
}

function pour(response: ServerResponse): void {
  const block = Buffer.alloc(1_048_576, 'x')
  let left = 2_048
  const fill = () => {
    while (left > 0) {
      left -= 1
      if (!response.write(block)) return
    }
    response.end()
  }
  response.on('drain', fill)
  fill()
}
