import type { Pool } from 'pg'
import type { RetryPolicy } from '../../message/decide.ts'
import { namedCall } from './named-call.ts'

/** The settings under which an instance writes the log. The checker compares what the instance did with them. */
export type InstanceSettings = {
  instance: string
  release: string
  freshMax: number
  retryMax: number
  leaseMs: number
  timeoutMs: number
  retry: RetryPolicy
  /** How long the processor remembers an idempotency key; null for ever. */
  keyWindowMs?: number | null
  /** How long it waits before it asks about a payment for the second time; null if it cannot ask. */
  inquiryGapMs?: number | null
  /** Where it sends payments, without what may be secret. */
  destinationUrl?: string | null
}

/** Records in the log that this instance is about to write it. Recording it again changes nothing. */
export async function registerInstance(database: Pool, settings: InstanceSettings): Promise<void> {
  const call = namedCall('register_instance', {
    in_instance: settings.instance,
    in_release: settings.release,
    in_fresh_max: settings.freshMax,
    in_retry_max: settings.retryMax,
    in_lease_ms: settings.leaseMs,
    in_timeout_ms: settings.timeoutMs,
    in_retries_max: settings.retry.retriesMax,
    in_base_delay_ms: Math.round(settings.retry.baseDelayMs),
    in_max_delay_ms: Math.round(settings.retry.maxDelayMs),
    in_key_window_ms: settings.keyWindowMs ?? null,
    in_inquiry_gap_ms: settings.inquiryGapMs ?? null,
    in_destination_url: settings.destinationUrl ?? null,
  })
  await database.query(`select ${call.text}`, call.values)
}
