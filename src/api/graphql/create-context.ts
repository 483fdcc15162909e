import { initContextCache } from '@pothos/core'
import type { Viewer } from '../access.ts'
import type { AccessLog } from '../accesses/access-log.ts'
import { BytesRead } from '../accesses/bytes-read.ts'
import type { ApiDependencies } from '../api-dependencies.ts'
import type { Streams } from '../stream/streams.ts'

/** What each resolver of one operation is handed. */
export type GraphContext = {
  readonly dependencies: ApiDependencies
  /** Who asks; always someone, because a request of nobody known is refused before it comes here. */
  readonly viewer: Viewer
  /** Whose subscriptions are counted together. */
  readonly client: string
  /** Where the connection comes from; undefined once it is closed. */
  readonly address: string | undefined
  readonly streams: Streams
  readonly accesses: AccessLog
  /** Whose bytes are in the answer. */
  readonly bytesRead: BytesRead
}

/** What each transport, HTTP or WebSocket, adds to an operation's context. */
export type ServerContext = Pick<GraphContext, 'viewer' | 'client' | 'address'>

/** The cache keeps the loaders of an operation together, however often its context is copied on the way. */
export function createContext(
  dependencies: ApiDependencies,
  streams: Streams,
  accesses: AccessLog,
): Pick<GraphContext, 'dependencies' | 'streams' | 'accesses' | 'bytesRead'> {
  return { dependencies, streams, accesses, bytesRead: new BytesRead(), ...initContextCache() }
}
