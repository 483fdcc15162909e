import { initContextCache } from '@pothos/core'
import type { IncomingMessage } from 'node:http'
import { anonymous, type Viewer } from '../access.ts'
import type { ApiDependencies } from '../dependencies.ts'
import type { Streams } from '../stream/streams.ts'

/** What each resolver of one operation is handed. */
export type GraphContext = {
  readonly dependencies: ApiDependencies
  /** Who asks; always someone, because a request of nobody known is refused before it comes here. */
  readonly viewer: Viewer
  /** Whose subscriptions are counted together. */
  readonly client: string
  readonly streams: Streams
}

/** What each transport, HTTP or WebSocket, adds to an operation's context. */
export type ServerContext = Pick<GraphContext, 'viewer' | 'client'>

/** The cache keeps the loaders of an operation together, however often its context is copied on the way. */
export function createContext(
  dependencies: ApiDependencies,
  streams: Streams,
): Pick<GraphContext, 'dependencies' | 'streams'> {
  return { dependencies, streams, ...initContextCache() }
}

/** A token's name, or where nobody has one the address. */
export function clientOf(viewer: Viewer | null, request: IncomingMessage): string {
  return viewer === null || viewer === anonymous
    ? `address ${request.socket.remoteAddress ?? ''}`
    : `token ${viewer.name}`
}
