import type { Socket } from 'node:net'

type Done = (error?: Error | null) => void

/**
 * Has what the peer sent before it broke the connection be read. A processor may answer before it has read the whole request (413,
 * 401) and then close: the next write fails, and by itself Node destroys the socket at once, with the answer unread in the kernel.
 *
 * A write that fails because the peer broke the connection therefore never ends: the kernel hands out what had arrived, then the
 * end of the stream or the reset, and that end is the socket's.
 */
export function hearOut(socket: Socket): void {
  const write = socket._write.bind(socket)
  socket._write = (chunk, encoding, done) => write(chunk, encoding, unlessBroken(done))
  const writev = socket._writev?.bind(socket)
  if (writev !== undefined) socket._writev = (chunks, done) => writev(chunks, unlessBroken(done))
}

function unlessBroken(done: Done): Done {
  return (error) => {
    if (!isBroken(error)) done(error)
  }
}

function isBroken(error: NodeJS.ErrnoException | null | undefined): boolean {
  return error?.code === 'EPIPE' || error?.code === 'ECONNRESET'
}
