import type { IncomingMessage } from 'node:http'
import type { Viewer } from '../access.ts'

const tokenPrefix = 'token '

/** Whose connections and subscriptions are counted together: a token, or where nobody has one the address. */
export function clientOf(viewer: Viewer | null, request: IncomingMessage): string {
  return viewer === null || viewer.token === null
    ? `address ${request.socket.remoteAddress ?? ''}`
    : `${tokenPrefix}${viewer.token}`
}

/** The hash of a client's token; null if it has none. */
export function tokenOf(client: string): string | null {
  return client.startsWith(tokenPrefix) ? client.slice(tokenPrefix.length) : null
}
