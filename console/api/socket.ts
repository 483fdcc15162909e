import { createClient, type Client } from 'graphql-ws'
import { markHeard } from './connection.ts'
import { socketEndpoint } from './endpoint.ts'
import { credentials } from './session.ts'

const pingMs = 10_000
const pongMsMax = 5_000

/**
 * One WebSocket for all that this tab follows: of streams over HTTP/1.1 a browser opens six to one host, over all its tabs. It is
 * opened with the first subscription and closed with the last. It never tries again by itself: its retry would send the first cursor
 * again (docs/clients.md), and miss or repeat what came between.
 */
export const socket: Client = createClient({
  url: socketEndpoint,
  retryAttempts: 0,
  connectionParams: credentials,
  keepAlive: pingMs,
  on: { ...watchPongs() },
})

/**
 * A way that died without a word is noticed by the answer that does not come. It is given up at once: a close would wait for the other
 * side's, which does not come either.
 */
function watchPongs() {
  let timer: ReturnType<typeof setTimeout> | undefined
  return {
    opened: markHeard,
    message: markHeard,
    ping: (received: boolean) => {
      if (received) return
      timer = setTimeout(() => socket.terminate(), pongMsMax)
    },
    pong: (received: boolean) => {
      if (received) clearTimeout(timer)
    },
    closed: () => clearTimeout(timer),
  }
}
