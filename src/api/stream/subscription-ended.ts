import type { Archived } from '../../log/read/find-archived.ts'
import type { CursorFault } from '../../log/read/read-events.ts'

/** Why a subscription ends before its subscriber leaves, or is not begun. */
export type EndReason =
  /** More waits for the subscriber than is kept, or it has taken nothing for too long. */
  | { readonly kind: 'slow' }
  /** This instance is about to stop. */
  | { readonly kind: 'draining' }
  /**
   * `epoch`: the cursor is of a log that a restored copy has replaced. `above`: no log of ours has handed it out. `expired`:
   * events after it are archived.
   */
  | { readonly kind: 'cursor'; readonly fault: CursorFault }
  /** The message that is asked for is archived, so it never changes again. */
  | { readonly kind: 'archived'; readonly archived: Archived }
  /** The token that it was opened with is no longer valid. */
  | { readonly kind: 'token_removed' }
  /** The client, or the whole instance, has as many as are allowed. */
  | { readonly kind: 'too_many'; readonly of: 'client' | 'instance'; readonly max: number }

/** A subscription ends with it, or is refused. The words for the client are those of the API that it came by. */
export class SubscriptionEnded extends Error {
  readonly reason: EndReason

  constructor(reason: EndReason) {
    super(`the subscription ended: ${reason.kind}`)
    this.name = 'SubscriptionEnded'
    this.reason = reason
  }
}
