import type { WebSocket as ProtocolSocket } from 'graphql-ws'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

const keepAliveMs = 12_000
// Below this a message counts as sent when it is written; above, when the connection has taken it.
const bufferedBytesMax = 64 * 1_024

// RFC 6455 §7.4.1: the server met something that it did not expect.
const internalError = 1_011

/**
 * Carries the graphql-transport-ws protocol over a socket. A sender waits while the connection is full, so a slow
 * reader holds up its own subscriptions and nobody else's. A client that has not answered a ping when the next one is due is cut off. Messages
 * of one turn are sent in one write: one write for each message was half of the cost of a delivery.
 *
 * @param stream the socket's own, as it was upgraded
 */
export function carry(
  socket: WebSocket,
  stream: Duplex,
  open: (connection: ProtocolSocket) => (code: number, reason: string) => Promise<void>,
): void {
  let isHeard = true
  let isGathering = false
  const gather = () => {
    if (isGathering) return
    isGathering = true
    stream.cork()
    process.nextTick(() => {
      isGathering = false
      stream.uncork()
    })
  }
  const timer = setInterval(() => {
    if (!isHeard) {
      socket.terminate()
      return
    }
    isHeard = false
    socket.ping()
  }, keepAliveMs)
  socket.on('pong', () => (isHeard = true))
  // A connection that breaks, or a message that is too large or no WebSocket: 'close' follows.
  socket.on('error', () => undefined)
  const close = open({
    protocol: socket.protocol,
    send: (data) => {
      if (socket.readyState !== socket.OPEN) return
      gather()
      if (socket.bufferedAmount < bufferedBytesMax) {
        socket.send(data)
        return
      }
      // An error means that the socket closes, which ends what is subscribed.
      return new Promise((resolve) => socket.send(data, () => resolve()))
    },
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
