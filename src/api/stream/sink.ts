import type { Delivery } from './delivery.ts'
import type { SubscriptionEnded } from './subscription-ended.ts'

/** Where the tail puts what a subscriber is to get; `Outlet` is one. */
export type Sink = {
  /** When the subscriber last took something; `performance.now()`. */
  readonly movedAt: number
  /** Says whether there was anything for the subscriber. */
  push(deliveries: readonly Delivery[]): boolean
  /** Ends the subscription with an error, in place of all that waits. */
  fail(failure: SubscriptionEnded): void
  /** Called when the tail has caught up, whether or not there was anything for the subscriber. */
  stir(): void
  checkStall(now: number): void
}
