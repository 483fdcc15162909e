import type pg from 'pg'
import type { LogEvent } from './event.ts'
import { isAttemptType } from './event-type.ts'
import { namedMax, type Invariants } from './invariants.ts'
import type { LostWindows } from './lost-windows.ts'
import { nameOf, type Message } from './message.ts'
import { Moments } from './moments.ts'
import type { FindActor } from './settings.ts'

type Excess = { actor: string; position: number; open: number; limit: number }

/**
 * S17: counts how many attempts of an instance's lane are open at the same time, in the order of positions. The log says nothing of
 * which of them had a request under way. An attempt also
 * ends when another instance abandons it, and when the server changes, because its end may have been lost. It keeps the
 * position of each start and end: 16 bytes an attempt.
 */
export class Concurrency {
  readonly #invariants: Invariants
  readonly #findActor: FindActor
  readonly #windows: LostWindows
  readonly #lanes = new Map<string, Moments>()

  constructor(findActor: FindActor, windows: LostWindows, invariants: Invariants) {
    this.#findActor = findActor
    this.#windows = windows
    this.#invariants = invariants
  }

  /** Call it for every event, before it is folded into its message. */
  check(message: Message, event: LogEvent): void {
    const { type } = event
    if (!isAttemptType(type)) return
    switch (type) {
      case 'attempt_started':
        this.#lane(event.actor).add(event.position, true)
        this.#checkLane(message, event)
        return
      case 'succeeded':
      case 'attempt_failed':
      case 'attempt_abandoned':
        this.#end(message, event.position)
        return
      case 'dead_lettered':
      case 'late_result_observed':
        return
    }
  }

  /** Call it for every message when all its events were read. */
  leave(message: Message): void {
    this.#end(message, Infinity)
  }

  /** Call it when the whole log was read. */
  async finish(client: pg.Client): Promise<void> {
    const found: Excess[] = []
    for (const [actor, moments] of this.#lanes) {
      const { settings, lane } = this.#findActor(actor)
      if (settings === null) continue
      const limit = lane === 'retry' ? settings.retryMax : settings.freshMax
      for (const { position, open } of moments.above(limit)) {
        if (found.length < namedMax) found.push({ actor, position, open, limit })
        else this.#invariants.S17.differMore(1)
      }
    }
    for (const excess of found) await this.#name(client, excess)
  }

  #end({ open }: Message, position: number): void {
    if (open === null) return
    const end = this.#windows.findBetween(open.position, position) ?? position
    if (end !== Infinity) this.#lane(open.actor).add(end, false)
  }

  #lane(actor: string): Moments {
    let moments = this.#lanes.get(actor)
    if (moments === undefined) {
      moments = new Moments()
      this.#lanes.set(actor, moments)
    }
    return moments
  }

  /** The fresh lane starts pending messages and the retry lane failed ones, so that neither lane takes the other's room. */
  #checkLane(message: Message, event: LogEvent): void {
    const { S17 } = this.#invariants
    const { lane } = this.#findActor(event.actor)
    S17.checked++
    if (
      (message.status === 'pending' && lane !== 'fresh') ||
      (message.status === 'failed' && lane !== 'retry')
    )
      S17.differ(nameOf(message), event.version, `${event.actor} starts what is ${message.status}`)
  }

  async #name(client: pg.Client, { actor, position, open, limit }: Excess): Promise<void> {
    const { rows } = await client.query<{ name: string | null; version: number }>(
      `select f.transaction_id as name, e.version
        from message_events e left join message_events f on f.message_id = e.message_id and f.version = 1
        where e.position = $1 and e.actor = $2 and e.type = 'attempt_started'
        order by e.message_id desc limit 1`,
      [position, actor],
    )
    const what = `${actor} has ${open} attempts open at position ${position}; it may hold ${limit}`
    this.#invariants.S17.differ(rows[0]?.name ?? actor, rows[0]?.version ?? null, what)
  }
}
