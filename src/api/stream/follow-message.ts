import type { Archived } from '../../log/read/find-archived.ts'
import type { LogCursor } from '../../log/read/log-cursor.ts'
import type { MessageRow } from '../../log/read/message-row.ts'
import { Latch } from '../../runtime/latch.ts'
import type { Delivery } from './delivery.ts'
import { selectEvents } from './select-events.ts'
import type { Sink } from './sink.ts'
import { SubscriptionEnded } from './subscription-ended.ts'
import type { Tail } from './tail.ts'

/** A message as it was at one look. Those who looked together get the same object, and so the same answer. */
export type MessageState = { readonly message: MessageRow | null; readonly archived: Archived | null }

/** Reads states, together where several are asked for at once; null where there is no such message. */
export type ReadState = (transactionId: string) => Promise<MessageState>

type Log = {
  readonly tail: Tail
  readonly readState: ReadState
  readonly readLogEnd: () => Promise<LogCursor>
}

/**
 * The message now, and then whenever it has changed. Who takes slowly gets the latest state and not each: an event only says
 * that there is a newer one, and nothing is kept of it but its version.
 *
 * @throws SubscriptionEnded if the message is archived: null would say that it has not come yet
 */
export async function* followMessage(
  { tail, readState, readLogEnd }: Log,
  transactionId: string,
  signal: AbortSignal,
): AsyncGenerator<MessageState> {
  const selection = selectEvents({ transactionIds: [transactionId] })
  const unfollow = tail.follow(tail.cursor ?? (await readLogEnd()))
  const changes = new Changes()
  // Before the first look, so that no change falls between the two.
  tail.attach(changes, selection)
  try {
    let version: number | null = null
    while (!signal.aborted) {
      if (version === null || changes.version > version) {
        const state = await readState(transactionId)
        if (state.archived !== null)
          throw new SubscriptionEnded({ kind: 'archived', archived: state.archived })
        // The state may be ahead of the tail, which reads below the watermark; the events that made it are no news then.
        const isNews = version === null || (state.message?.version ?? 0) > version
        version = Math.max(changes.version, state.message?.version ?? 0)
        if (isNews) yield state
      }
      await changes.after(version, signal)
    }
  } finally {
    tail.leave(changes, selection)
    unfollow()
  }
}

/** The highest version that the tail has seen of one message. */
class Changes implements Sink {
  readonly #changed = new Latch()
  #failure: SubscriptionEnded | null = null
  readonly movedAt = 0
  version = 0

  push(deliveries: readonly Delivery[]): boolean {
    for (const { event } of deliveries) this.version = Math.max(this.version, event?.version ?? 0)
    this.#changed.open()
    // The tail need not wait for one who never falls behind.
    return false
  }

  fail(failure: SubscriptionEnded): void {
    this.#failure = failure
    this.#changed.open()
  }

  stir(): void {
    // What matters here is an event.
  }

  checkStall(): void {
    // Nothing waits here.
  }

  /** Waits for a later version, or the signal. */
  async after(version: number, signal: AbortSignal): Promise<void> {
    while (this.version <= version && !signal.aborted) {
      if (this.#failure !== null) throw this.#failure
      this.#changed.close()
      await this.#changed.opened(signal)
    }
  }
}
