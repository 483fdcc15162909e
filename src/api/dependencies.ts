import type { Pool } from 'pg'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Access } from './access.ts'
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
  /** Has a function called whenever events may have been appended, by whichever instance; answers how to stop that. */
  readonly onEvents: (wake: () => void) => () => void
}
