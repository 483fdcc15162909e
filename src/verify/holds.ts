import type pg from 'pg'
import { isTold } from './check-attempts.ts'
import { defaultDestination, type Destinations, type Standing } from './destinations.ts'
import type { LogEvent } from './event.ts'
import { isAttemptType } from './event-type.ts'
import { namedMax, type Invariants } from './invariants.ts'
import { saysForgotten, saysUnknown } from './fold.ts'
import { nameOf, type Message } from './message.ts'
import { Moments } from './moments.ts'

type Excess = { decision: number; position: number; open: number }

/**
 * S22, S23 and S24: checks what starts and fails while a destination does not flow. Of each hold it keeps the positions of the attempts that
 * started in it, and of their ends: 16 bytes an attempt.
 */
export class Holds {
  readonly #invariants: Invariants
  readonly #destinations: Destinations
  /** By the decision that began the hold. */
  readonly #holds = new Map<number, Moments>()

  constructor(destinations: Destinations, invariants: Invariants) {
    this.#destinations = destinations
    this.#invariants = invariants
  }

  /** Call it for every event, before it is folded into its message. */
  check(message: Message, event: LogEvent): void {
    const { type } = event
    if (!isAttemptType(type)) return
    switch (type) {
      case 'attempt_started':
        this.#start(message, event)
        return
      case 'succeeded':
        this.#end(message, event)
        return
      case 'attempt_failed':
      case 'attempt_abandoned':
        this.#end(message, event)
        this.#checkRetry(message, event)
        return
      case 'dead_lettered':
        this.#checkDeadLetter(message, event)
        return
      case 'late_result_observed':
        return
    }
  }

  /** S23: call it when the whole log was read. */
  async finish(client: pg.Client): Promise<void> {
    const { S23 } = this.#invariants
    const found: Excess[] = []
    for (const [decision, moments] of this.#holds)
      for (const { position, open } of moments.above(1)) {
        if (found.length < namedMax) found.push({ decision, position, open })
        else S23.differMore(1)
      }
    for (const excess of found) await this.#name(client, excess)
  }

  #start(message: Message, event: LogEvent): void {
    const { S23, S24 } = this.#invariants
    const standing = this.#destinations.at(event.position)
    S24.checked++
    if (standing.state === 'paused')
      S24.differ(nameOf(message), event.version, `attempt ${event.attempt} starts while ${tell(standing)}`)
    if (standing.state !== 'held') return
    S23.checked++
    let moments = this.#holds.get(standing.decision)
    if (moments === undefined) {
      moments = new Moments()
      this.#holds.set(standing.decision, moments)
    }
    moments.add(event.position, true)
  }

  /** An attempt that goes on after its hold is not counted in the next one. */
  #end({ open }: Message, event: LogEvent): void {
    if (open === null) return
    const { state, decision } = this.#destinations.at(open.position)
    if (state === 'held') this.#holds.get(decision)?.add(event.position, false)
  }

  #checkRetry(message: Message, event: LogEvent): void {
    const { S22 } = this.#invariants
    S22.checked++
    if (event.retryCount <= message.retryCount || !this.#destinations.spare(event)) return
    const standing = this.#destinations.at(event.position)
    S22.differ(nameOf(message), event.version, `${event.type} uses up a retry while ${tell(standing)}`)
  }

  #checkDeadLetter(message: Message, event: LogEvent): void {
    const { S22 } = this.#invariants
    const standing = this.#destinations.at(event.position)
    S22.checked++
    const isRefused = message.unretried?.event.outcome === 'refused' && event.reason !== 'retries exhausted'
    const isUnknown = message.unretried?.event.outcome === 'unknown' && saysUnknown(event)
    if (
      standing.state !== 'flowing' &&
      !isRefused &&
      !isUnknown &&
      !saysForgotten(event) &&
      !isTold(message, event, 'refused')
    )
      S22.differ(nameOf(message), event.version, `${event.reason} while ${tell(standing)}`)
  }

  async #name(client: pg.Client, { decision, position, open }: Excess): Promise<void> {
    const { rows } = await client.query<{ name: string | null; version: number }>(
      `select f.transaction_id as name, e.version
        from event_positions p
        cross join lateral unnest(p.message_ids) as u(message_id)
        join message_events e on e.message_id = u.message_id and e.position = p.position and e.type = 'attempt_started'
        left join message_events f on f.message_id = e.message_id and f.version = 1
        where p.position = $1 order by e.message_id desc limit 1`,
      [position],
    )
    const what = `${open} attempts that started while ${tell({ state: 'held', decision })} are open at position ${position}`
    this.#invariants.S23.differ(rows[0]?.name ?? defaultDestination, rows[0]?.version ?? null, what)
  }
}

function tell({ state, decision }: Standing): string {
  return `destination ${defaultDestination} is ${state} (decision ${decision})`
}
