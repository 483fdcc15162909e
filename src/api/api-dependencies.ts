import type { Pool } from 'pg'
import type { KeyWindow } from '../log/write/replay.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Access } from './access.ts'
import type { TokenFile } from './followed-tokens.ts'
import type { Health } from './health.ts'

export type ApiDependencies = {
  readonly database: Pool
  readonly metrics: Metrics
  readonly logger: Logger
  /** Names this run of this process. */
  readonly instance: string
  readonly release: string
  readonly health: () => Health
  readonly access: Access
  /** The file that the tokens are read from again and again; none if it is left out. */
  readonly tokenFile?: TokenFile | null
  /** Why this file as it is now is not in force; null if it is. */
  readonly tokensFault?: () => string | null
  /** How often accesses that were only counted are written; each minute if it is left out. */
  readonly accessesEveryMs?: number
  /** Whether a replay by REST needs a reason; GraphQL's needs one always. */
  readonly reasonsRequired: boolean
  /** When a replay must be confirmed, because the processor may have forgotten the key. */
  readonly keyWindow: KeyWindow
  /** Where payments are delivered: its name, and its URL without credentials. */
  readonly destination: { readonly name: string; readonly url: string }
  /** When the certificates of the settings end, by the side that they are for. */
  readonly certificates: () => readonly { readonly side: string; readonly file: string; readonly at: Date }[]
  /** Has a function called whenever events may have been appended, by whichever instance; answers how to stop that. */
  readonly onEvents: (wake: () => void) => () => void
  /** The same for the destination: whenever something may have been decided about it, or a probe may have ended. */
  readonly onDestination: (wake: () => void) => () => void
  /** The same for replay jobs: whenever something was decided about one, or its counts have changed. */
  readonly onJobs: (wake: () => void) => () => void
}
