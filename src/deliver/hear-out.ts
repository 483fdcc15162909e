import type { Socket } from 'node:net'

type Done = (error?: Error | null) => void

/**
 * Makes sure that an answer is read which the peer sent before it broke the connection. A processor may
 * answer before it has read the whole request (413, 401) and then close. The next write then fails, and Node
 * by default destroys the socket at once, while the answer is still unread in the kernel.
 *
 * So a write that fails because the peer broke the connection is not reported as ended before all was read. The kernel first
 * hands out what had arrived, then the end of the stream or the reset; that ends the socket.
 */
export function hearOut(socket: Socket): void {
  let isBroken = false
  const unlessBroken =
    (done: Done): Done =>
    (error) => {
      if (isBreak(error) && !socket.readableEnded) isBroken = true
      else done(error)
    }
  const write = socket._write.bind(socket)
  socket._write = (chunk, encoding, done) => write(chunk, encoding, unlessBroken(done))
  const writev = socket._writev?.bind(socket)
  if (writev !== undefined) socket._writev = (chunks, done) => writev(chunks, unlessBroken(done))
  // After all others have heard of the end.
  socket.once('end', () => {
    if (isBroken) process.nextTick(() => socket.destroy())
  })
}

function isBreak(error: NodeJS.ErrnoException | null | undefined): boolean {
  return error?.code === 'EPIPE' || error?.code === 'ECONNRESET'
}
