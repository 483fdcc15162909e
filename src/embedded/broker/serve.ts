import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { apis, apiVersions, apiVersionsKey } from './apis.ts'
import type { Broker } from './broker.ts'
import { frames } from './frames.ts'
import { Reader, Writer } from './wire.ts'

export interface Listening {
  host: string
  port: number
  /** Closes every connection and accepts no more. */
  close: () => Promise<void>
}

/** Listens, and answers each connection's requests one by one, in their order. */
export async function serve(broker: Broker, host: string, port: number): Promise<Listening> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    void answerConnection(broker, socket)
  })
  await listen(server, host, port)
  return {
    host,
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
    throw new Error(
      `Port ${port} on ${host} is taken: stop the program that listens there, or choose another port with --port.`,
      { cause },
    )
  }
}

/** A request that cannot be read closes its own connection and nothing else. */
async function answerConnection(broker: Broker, socket: Socket): Promise<void> {
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  // The loop below handles every error of the socket. An error after its end must not end the process.
  socket.on('error', () => undefined)
  try {
    for await (const frame of frames(socket)) {
      const answer = await answerRequest(broker, socket, frame, gone.signal)
      if (answer !== null && !socket.write(answer)) await once(socket, 'drain', { signal: gone.signal })
    }
  } catch (fault) {
    if (!gone.signal.aborted && !isReset(fault)) {
      process.stderr.write(
        `closed the connection of ${socket.remoteAddress ?? 'a client'}: ${String(fault)}\n`,
      )
    }
  } finally {
    socket.destroy()
  }
}

async function answerRequest(
  broker: Broker,
  socket: Socket,
  frame: Buffer,
  closed: AbortSignal,
): Promise<Buffer | null> {
  const request = new Reader(frame)
  const key = request.int16()
  const version = request.int16()
  const answer = new Writer(request.int32())
  const clientId = request.nullableString() ?? ''
  const api = apis.get(key)
  const spoken = api !== undefined && version >= api.min && version <= api.max
  if (!spoken && key !== apiVersionsKey)
    throw new Error(`version ${version} of request ${key} is not supported`)
  const handle = spoken ? api.handle : apiVersions
  if (spoken && api.flexibleFrom !== undefined && version >= api.flexibleFrom) {
    request.tags()
    answer.tags()
  }
  const answered = await handle({
    broker,
    version,
    clientId,
    clientHost: socket.remoteAddress ?? '',
    // The address that this client used, which is right behind 0.0.0.0 too.
    host: (socket.localAddress ?? '').replace(/^::ffff:/, ''),
    port: socket.localPort ?? 0,
    closed,
    request,
    answer,
  })
  return answered === 'silent' ? null : answer.frame()
}

function isReset(fault: unknown): boolean {
  const code = (fault as NodeJS.ErrnoException).code
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE'
}
