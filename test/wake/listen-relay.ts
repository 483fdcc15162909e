import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/**
 * What becomes of a LISTEN: it is passed on; answered with an error, as by a server short of memory; or answered as done
 * although this session listens to nothing, which is what a transaction pooler makes of it.
 */
export type ListenFate = 'pass' | 'refuse' | 'divert'

/** A relay to PostgreSQL whose sessions live on and answer, but do not hear. */
export async function startListenRelay(t: Pick<Test, 'teardown'>, target: { host: string; port: number }) {
  const sockets = new Set<Socket>()
  let fate: ListenFate = 'pass'
  let withheld = 0
  const server = createServer((client) => {
    const backend = connect(target)
    for (const [from, to] of [[client, backend] as const, [backend, client] as const]) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
    backend.pipe(client)
    client.on('data', (chunk) => {
      if (fate === 'pass' || !chunk.includes('LISTEN ')) return void backend.write(chunk)
      withheld += 1
      client.write(fate === 'refuse' ? outOfMemory : listenDone)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    letListen: (next: ListenFate) => (fate = next),
    withheld: () => withheld,
  }
}

// https://www.postgresql.org/docs/current/protocol-message-formats.html
const readyForQuery = message('Z', 'I')
const outOfMemory = Buffer.concat([message('E', 'SERROR\0C53200\0Mout of memory\0\0'), readyForQuery])
const listenDone = Buffer.concat([message('C', 'LISTEN\0'), readyForQuery])

function message(type: string, body: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(4 + Buffer.byteLength(body))
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body)])
}
