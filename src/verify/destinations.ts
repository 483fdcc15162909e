import type pg from 'pg'
import { copyRows } from './copy-rows.ts'
import type { LogEvent } from './event.ts'

type DestinationState = 'flowing' | 'held' | 'paused' | 'ramping'

/** A row of `destination_decisions`. Times are microseconds since 1970. */
export type DestinationDecision = {
  readonly destination: string
  readonly decision: number
  readonly position: number
  readonly recordedAt: number
  readonly state: DestinationState
  readonly cause: string
  readonly until: number | null
  readonly failures: number
  readonly refusals: number
  readonly probes: number
  /** Attempts a second from then on, and how many at once; null if there was no limit. */
  readonly limit: Limit | null
  readonly actor: string
  readonly reason: string
}

export type Limit = { readonly perSecond: number; readonly burst: number }

/** What a decision about the pace alone is made for. It leaves the state as it was. */
const paceCauses = ['rate', 'setting', 'throttled', 'unthrottled']

export function isOfPace({ cause }: Pick<DestinationDecision, 'cause'>): boolean {
  return paceCauses.includes(cause)
}

/** How a destination stands, and which decision began that. A destination flows until its first one, which this calls decision 0. */
export type Standing = { readonly state: DestinationState; readonly decision: number }

/** Every message goes to this one. */
export const defaultDestination = 'default'

const flowing: Standing = { state: 'flowing', decision: 0 }

/**
 * What was decided about destinations. Nothing starts and nothing ends beside a decision: what came before it has a lower position,
 * and what came after it a higher one. So a position says how the destination stood, for events of archives too.
 */
export class Destinations {
  readonly all: readonly DestinationDecision[]
  /** The decisions about the default destination, in the order of their positions: those about its state, and all. */
  readonly #ofState: readonly DestinationDecision[]
  readonly #inOrder: readonly DestinationDecision[]

  /** @param all in the order of their destinations and numbers */
  constructor(all: readonly DestinationDecision[]) {
    this.all = all
    this.#inOrder = all
      .filter(({ destination }) => destination === defaultDestination)
      .sort((one, other) => one.position - other.position || one.decision - other.decision)
    this.#ofState = this.#inOrder.filter((each) => !isOfPace(each))
  }

  /** How the default destination stood at a position. */
  at(position: number): Standing {
    return lastBefore(this.#ofState, position) ?? flowing
  }

  /** The limit of the default destination at a position; null if there was none. */
  limitAt(position: number): Limit | null {
    return lastBefore(this.#inOrder, position)?.limit ?? null
  }

  /**
   * Returns whether the event ends an attempt in a way that uses up no retry, because the destination did not flow. What speaks of the
   * payment alone, an acceptance or a refusal, is the same in every state.
   */
  spare(event: LogEvent): boolean {
    const isFailure =
      event.type === 'attempt_abandoned' || (event.type === 'attempt_failed' && event.outcome !== 'refused')
    return isFailure && this.at(event.position).state !== 'flowing'
  }
}

function lastBefore(
  decisions: readonly DestinationDecision[],
  position: number,
): DestinationDecision | undefined {
  let [low, high] = [0, decisions.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((decisions[middle]?.position ?? Infinity) < position) low = middle + 1
    else high = middle
  }
  return decisions[low - 1]
}

export async function readDestinations(client: pg.Client): Promise<Destinations> {
  const found: DestinationDecision[] = []
  // Decisions in a row with the same limit share it.
  const share = (limit: Limit | null): Limit | null => {
    const known = found.at(-1)?.limit ?? null
    return known?.perSecond === limit?.perSecond && known?.burst === limit?.burst ? known : limit
  }
  const select = `select destination, decision, position, recorded_at, state, cause, until, failures, refusals, probes,
      rate_limit::text, rate_burst, actor, reason
    from destination_decisions order by destination, decision`
  await copyRows(client, select, (row) => {
    found.push({
      destination: row.text(),
      decision: row.integer(),
      position: row.integer(),
      recordedAt: row.micros(),
      state: row.text() as DestinationState,
      cause: row.text(),
      until: row.microsOrNull(),
      failures: row.integer(),
      refusals: row.integer(),
      probes: row.integer(),
      limit: share(readLimit(row.textOrNull(), row.integerOrNull())),
      actor: row.text(),
      reason: row.text(),
    })
  })
  return new Destinations(found)
}

function readLimit(perSecond: string | null, burst: number | null): Limit | null {
  return perSecond === null || burst === null ? null : { perSecond: Number(perSecond), burst }
}
