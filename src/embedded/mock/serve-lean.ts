import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { Serving } from './serve.ts'

const headEnd = Buffer.from('\r\n\r\n')
const headBytesMax = 65_536
const contentLength = /\r\ncontent-length: *(\d+)/i
const chunked = /\r\ntransfer-encoding:/i
const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
const success = Buffer.from(`${head}Content-Length: 2\r\n\r\n{}`)

const idempotencyKey = /\r\nidempotency-key: *(\S+)/i

interface Counter {
  served: number
  /**
   * When each key first arrived, by this machine's clock in milliseconds; null if arrivals are not recorded.
   */
  arrivals: Map<string, number> | null
}

/**
 * A processor for benchmarks. It shares the machine with the measured service, so it does as little as
 * HTTP/1.1 allows: it reads only Content-Length from heads, skips bodies, and counts. With `arrivals` it also
 * records when each Idempotency-Key first arrived, and GET /arrivals returns one line for each since the last
 * call. Node's own HTTP server costs several times as much for each request.
 */
export async function serveLean(
  port: number,
  host: string,
  arrivals = false,
): Promise<Serving & { served: () => number }> {
  const counter: Counter = { served: 0, arrivals: arrivals ? new Map() : null }
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = new Connection(socket, counter)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // A client may disconnect at any time.
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => connection.take(chunk))
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    served: () => counter.served,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Takes one connection's bytes in any pieces, and answers each request when its body has ended. */
class Connection {
  readonly #socket: Socket
  readonly #counter: Counter
  #unfinishedHead: Buffer | undefined
  #inBody = false
  #bodyLeft = 0
  #asks: 'work' | 'health' | 'arrivals' = 'work'

  constructor(socket: Socket, counter: Counter) {
    this.#socket = socket
    this.#counter = counter
  }

  take(chunk: Buffer): void {
    const bytes = this.#unfinishedHead ? Buffer.concat([this.#unfinishedHead, chunk]) : chunk
    this.#unfinishedHead = undefined
    const answers: Buffer[] = []
    let at = 0
    for (;;) {
      if (!this.#inBody) {
        const end = bytes.indexOf(headEnd, at)
        if (end === -1) break
        if (!this.#readHead(bytes.toString('latin1', at, end))) return
        at = end + headEnd.length
      }
      const skipped = Math.min(this.#bodyLeft, bytes.length - at)
      at += skipped
      this.#bodyLeft -= skipped
      if (this.#bodyLeft > 0) break
      this.#inBody = false
      answers.push(this.#answer())
    }
    if (!this.#inBody && at < bytes.length) this.#unfinishedHead = bytes.subarray(at)
    const [only] = answers
    if (only) this.#socket.write(answers.length === 1 ? only : Buffer.concat(answers))
    if ((this.#unfinishedHead?.length ?? 0) > headBytesMax) this.#refuse()
  }

  /** Returns whether the request can be served. */
  #readHead(text: string): boolean {
    if (chunked.test(text)) {
      this.#refuse()
      return false
    }
    this.#bodyLeft = Number(contentLength.exec(text)?.[1] ?? 0)
    this.#inBody = true
    if (text.startsWith('GET /')) this.#asks = text.startsWith('GET /arrivals') ? 'arrivals' : 'health'
    else {
      this.#asks = 'work'
      this.#note(text)
    }
    return true
  }

  #note(text: string): void {
    const { arrivals } = this.#counter
    const key = arrivals === null ? undefined : idempotencyKey.exec(text)?.[1]
    if (key !== undefined && arrivals?.has(key) === false) arrivals.set(key, Date.now())
  }

  #answer(): Buffer {
    if (this.#asks === 'work') {
      this.#counter.served += 1
      return success
    }
    const body =
      this.#asks === 'health'
        ? JSON.stringify({ status: 'healthy', served: this.#counter.served })
        : this.#takeArrivals()
    return Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n${body}`)
  }

  #takeArrivals(): string {
    const { arrivals } = this.#counter
    const lines = Array.from(arrivals ?? [], ([key, ms]) => `${key} ${ms}\n`).join('')
    arrivals?.clear()
    return lines
  }

  #refuse(): void {
    this.#socket.end('HTTP/1.1 411 Length Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  }
}
