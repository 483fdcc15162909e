import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Pair } from '../support/certificates.ts'

/** What the process is told in its one argument, as JSON; the answers by key. */
export type Refusing = { answers: Record<string, string>; ending: 'close' | 'reset'; pair: Pair | null }

// A process of its own, because the break must come while the client is in the middle of a write.
const { answers, ending, pair } = JSON.parse(process.argv[2] ?? '') as Refusing

/** Answers the first bytes of a request, reads no further, and breaks the connection. */
function refuse(socket: Socket): void {
  socket.on('error', () => undefined)
  socket.once('data', (chunk: Buffer) => {
    socket.pause()
    const key = /\r\nidempotency-key: (.*)/i.exec(chunk.toString('latin1'))?.[1] ?? ''
    socket.write(answers[key] ?? '', () => {
      if (ending === 'reset' && pair === null && !socket.destroyed) socket.resetAndDestroy()
      else socket.destroy()
    })
  })
}

const server = pair === null ? createServer(refuse) : createTlsServer(pair, refuse)
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
