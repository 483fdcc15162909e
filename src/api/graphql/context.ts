import { initContextCache } from '@pothos/core'
import type { Viewer } from '../access.ts'
import type { ApiDependencies } from '../dependencies.ts'

/** What each resolver of one operation is handed. */
export type GraphContext = {
  readonly dependencies: ApiDependencies
  /** Who asks; always someone, because a request of nobody known is refused before it comes here. */
  readonly viewer: Viewer
}

/** What each transport, HTTP or WebSocket, adds to an operation's context. */
export type ServerContext = Pick<GraphContext, 'viewer'>

/** The cache keeps the loaders of an operation together, however often its context is copied on the way. */
export function createContext(dependencies: ApiDependencies): { dependencies: ApiDependencies } {
  return { dependencies, ...initContextCache() }
}
