import { createRequire } from 'node:module'

type RequestQueue = {
  pending: unknown[]
  throttledUntil: number
  throttleCheckTimeoutId: NodeJS.Timeout | null
  checkPendingRequests(): void
  scheduleCheckPendingRequests(): void
}

/**
 * Stops kafkajs 2.2.4 from checking the empty queue of each connection every millisecond, even of closed
 * connections. The checks cost an idle process a tenth of a core and keep a finished process from ending
 * (tulios/kafkajs issues 1556 and 1704, open since 2023). Depends on the exact pin.
 */
export function calmKafkajs(): void {
  const load = createRequire(import.meta.url)
  const { prototype } = load('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue }
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length === 0 || this.throttleCheckTimeoutId !== null) return
    // An answer that makes room in a full connection triggers a check. The short wait is for a throttled
    // connection.
    const waitMs = Math.max(this.throttledUntil - Date.now(), throttledWaitMs)
    this.throttleCheckTimeoutId = setTimeout(() => {
      this.throttleCheckTimeoutId = null
      this.checkPendingRequests()
    }, waitMs)
  }
}

// kafkajs' own CHECK_PENDING_REQUESTS_INTERVAL.
const throttledWaitMs = 10
