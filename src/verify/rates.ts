import { doubled } from './doubled.ts'
import { defaultDestination, type Destinations, type Limit } from './destinations.ts'
import type { LogEvent } from './event.ts'
import { namedMax, type Invariants } from './invariants.ts'
import type { Message } from './message.ts'

// A second, less what rounding to microseconds may take from each of two times.
const windowMicros = 1_000_000 - 2
// Positions follow the clock but for transactions that ran at the same time. A larger step back is that of a clock that was set.
const stepMicros = 5_000_000

/** The attempts that started under one limit. */
type Starts = { readonly limit: Limit; positions: Float64Array; times: Float64Array; count: number }

/** S24: counts the attempts that start in each second while there is a limit. Of each it keeps 16 bytes. */
export class Rates {
  readonly #invariants: Invariants
  readonly #destinations: Destinations
  readonly #starts = new Map<Limit, Starts>()

  constructor(destinations: Destinations, invariants: Invariants) {
    this.#invariants = invariants
    this.#destinations = destinations
  }

  /** Call it for every event, before it is folded into its message. */
  check(message: Message, event: LogEvent): void {
    if (event.type !== 'attempt_started') return
    const limit = this.#destinations.limitAt(event.position)
    if (limit === null || isClamped(message, event)) return
    const starts = this.#starts.get(limit) ?? begin(limit)
    if (starts.count === starts.times.length) {
      starts.positions = doubled(starts.positions)
      starts.times = doubled(starts.times)
    }
    starts.positions[starts.count] = event.position
    starts.times[starts.count] = event.recordedAt
    starts.count++
    this.#starts.set(limit, starts)
  }

  /** Call it when the whole log was read. */
  finish(): void {
    let named = 0
    for (const starts of this.#starts.values())
      for (const { at, count, limit } of findExcesses(starts)) {
        const what = `${count} attempts start in the second before ${new Date(at / 1_000).toISOString()}, with a limit of ${limit.perSecond} and ${limit.burst} at once`
        if (named++ < namedMax) this.#invariants.S24.differ(`destination ${defaultDestination}`, null, what)
        else this.#invariants.S24.differMore(1)
      }
  }
}

/**
 * After a clock was set back, an event gets the time of the one before it, and its own time is not known. Events of one transaction have the
 * same time, too.
 */
function isClamped(message: Message, event: LogEvent): boolean {
  return event.recordedAt <= message.recordedAt && event.position !== message.position
}

function begin(limit: Limit): Starts {
  return { limit, positions: new Float64Array(64), times: new Float64Array(64), count: 0 }
}

/** Yields the seconds with more starts than the limit allows, one for each burst of them. */
function* findExcesses(starts: Starts): Generator<{ at: number; count: number; limit: Limit }> {
  const { limit } = starts
  const most = Math.floor(limit.perSecond + limit.burst + 1e-6)
  for (const times of splitAtSteps(starts)) {
    let first = 0
    for (const [last, time] of times.entries()) {
      while (time - (times[first] ?? time) >= windowMicros) first++
      const count = last - first + 1
      if (count <= most) continue
      yield { at: time, count, limit }
      // The next one has none of these starts.
      first = last + 1
    }
  }
}

/** Returns the times in order, those before and after a step of the clock apart. */
function splitAtSteps({ positions, times, count }: Starts): Float64Array[] {
  const order = new Uint32Array(count).map((_, at) => at)
  order.sort((one, other) => (positions[one] ?? 0) - (positions[other] ?? 0))
  const parts: Float64Array[] = []
  let begun = 0
  let latest = -Infinity
  const sorted = Float64Array.from(order, (at) => times[at] ?? 0)
  for (const [at, time] of sorted.entries()) {
    if (time < latest - stepMicros) {
      parts.push(sorted.slice(begun, at).sort())
      begun = at
      latest = time
    }
    latest = Math.max(latest, time)
  }
  parts.push(sorted.slice(begun).sort())
  return parts
}
