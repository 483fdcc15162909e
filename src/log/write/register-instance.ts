import type { Pool } from 'pg'
import type { RetryPolicy } from '../../message/decide.ts'

/** Under which settings an instance writes the log; the checker holds it to them. */
export type InstanceSettings = {
  instance: string
  release: string
  freshMax: number
  retryMax: number
  leaseMs: number
  timeoutMs: number
  retry: RetryPolicy
}

export async function registerInstance(database: Pool, settings: InstanceSettings): Promise<void> {
  await database.query('select register_instance($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
    settings.instance,
    settings.release,
    settings.freshMax,
    settings.retryMax,
    settings.leaseMs,
    settings.timeoutMs,
    settings.retry.retriesMax,
    Math.round(settings.retry.baseDelayMs),
    Math.round(settings.retry.maxDelayMs),
  ])
}
