import type { Viewer } from '../access.ts'

/** Who asks, from where, and by which operation. */
export type Asking = {
  readonly viewer: Viewer
  /** Of the connection; undefined once it is closed. */
  readonly address: string | undefined
  /** The name of the operation; null if it has none. */
  readonly operation: string | null
}
