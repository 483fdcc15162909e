import type { WebSocket as ProtocolSocket } from 'graphql-ws'
import type { WebSocket } from 'ws'

const keepAliveMs = 12_000

// RFC 6455 §7.4.1: the server met something that it did not expect.
const internalError = 1_011

/**
 * Carries the graphql-transport-ws protocol over a socket. A message counts as sent when the line has taken it, so that a slow
 * reader holds up its own subscriptions and nobody else; one that does not answer a ping until the next is gone.
 */
export function carry(
  socket: WebSocket,
  open: (line: ProtocolSocket) => (code: number, reason: string) => Promise<void>,
): void {
  let isHeard = true
  const timer = setInterval(() => {
    if (!isHeard) {
      socket.terminate()
      return
    }
    isHeard = false
    socket.ping()
  }, keepAliveMs)
  socket.on('pong', () => (isHeard = true))
  // A line that breaks, or a message that is too large or no WebSocket: 'close' follows.
  socket.on('error', () => undefined)
  const close = open({
    protocol: socket.protocol,
    send: (data) =>
      new Promise((resolve) => {
        // An error means that the socket closes, which ends what is subscribed.
        if (socket.readyState === socket.OPEN) socket.send(data, () => resolve())
        else resolve()
      }),
    close: (code, reason) => socket.close(code, reason),
    onMessage: (take) => {
      socket.on('message', (data: Buffer) => {
        isHeard = true
        // What is thrown here is no error of an operation: those are answers.
        take(data.toString('utf8')).catch(() => socket.close(internalError, 'Internal server error'))
      })
    },
  })
  socket.once('close', (code: number, reason: Buffer) => {
    clearInterval(timer)
    void close(code, reason.toString('utf8'))
  })
}
