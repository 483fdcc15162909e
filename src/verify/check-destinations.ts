import type pg from 'pg'
import { show } from './check-projection.ts'
import { copyRows } from './copy-rows.ts'
import { defaultDestination, isOfPace, type DestinationDecision, type Destinations } from './destinations.ts'
import type { Invariants } from './invariants.ts'
import type { FindActor } from './settings.ts'

type Cause = { readonly name: string; readonly count: 'failures' | 'refusals' | 'probes' | null }

const failures: Cause = { name: 'failures', count: 'failures' }
const refusals: Cause = { name: 'refusals', count: 'refusals' }
const probes: Cause = { name: 'probes', count: 'probes' }
const ramped: Cause = { name: 'ramped', count: null }
const until: Cause = { name: 'until', count: null }
const operator: Cause = { name: 'operator', count: null }

/**
 * The causes of operators; what has another cause is decided by an instance. Where no instance ran as a pause ended, whoever pauses anew says
 * that it has.
 */
const byOperators = ['operator', 'rate', 'until']

/** Which states may follow a state, and for which causes. */
const followUps: Readonly<Partial<Record<string, Partial<Record<string, readonly Cause[]>>>>> = {
  flowing: { held: [failures, refusals], paused: [operator] },
  held: { ramping: [probes, operator], paused: [operator] },
  paused: { ramping: [until, operator] },
  ramping: { flowing: [ramped], held: [failures, refusals], paused: [operator] },
}

/** A row of `destinations`: what is derived from the decisions. */
type Kept = {
  readonly decision: number
  readonly stateDecision: number | null
  readonly state: string
  readonly cause: string | null
  readonly since: number | null
  readonly until: number | null
  readonly rateLimit: string | null
  readonly rateBurst: number | null
  /** The guard knows when to probe, and how long to wait after that. */
  readonly isProbed: boolean
}

/**
 * S1, S3, S14 and S16: checks the decisions about each destination, each against the one before it. S4: checks that `destinations` says
 * what the last one left.
 */
export async function checkDestinations(
  client: pg.Client,
  destinations: Destinations,
  findActor: FindActor,
  invariants: Invariants,
): Promise<void> {
  const last = new Map<string, Last>([[defaultDestination, none]])
  for (const decision of destinations.all) {
    const before = last.get(decision.destination) ?? none
    checkDecision(before, decision, findActor, invariants)
    last.set(decision.destination, { decision, ofState: isOfPace(decision) ? before.ofState : decision })
  }
  const kept = await readKept(client)
  for (const name of kept.keys()) if (!last.has(name)) last.set(name, none)
  for (const [name, each] of last) checkKept(name, each, kept.get(name), invariants)
}

/** The last decision about a destination, and the last one that began a state. */
type Last = { readonly decision: DestinationDecision | null; readonly ofState: DestinationDecision | null }

const none: Last = { decision: null, ofState: null }

function checkDecision(
  last: Last,
  decision: DestinationDecision,
  findActor: FindActor,
  { S1, S3, S14, S16 }: Invariants,
): void {
  const name = `destination ${decision.destination}`
  const number = decision.decision
  const before = last.decision
  for (const each of [S1, S3, S14, S16]) each.checked++
  if (number !== (before?.decision ?? 0) + 1)
    S1.differ(name, null, `decision ${number} follows ${before === null ? 'nothing' : before.decision}`)
  const fault = findFault(last, decision)
  if (fault !== null) S3.differ(name, null, `decision ${number} ${fault}`)
  if (decision.actor.trim() === '' || decision.reason.trim() === '')
    S14.differ(name, null, `decision ${number} has no actor or no reason`)
  else if (!byOperators.includes(decision.cause) && findActor(decision.actor).settings === null)
    S14.differ(name, null, `decision ${number}: ${decision.actor} is of no registered instance`)
  if (before === null) return
  if (decision.recordedAt < before.recordedAt)
    S16.differ(
      name,
      null,
      `decision ${number} is recorded ${before.recordedAt - decision.recordedAt} µs before ${before.decision}`,
    )
  if (decision.position < before.position)
    S16.differ(name, null, `decision ${number} has position ${decision.position} after ${before.position}`)
}

/** Returns what is wrong with a step; null if it is legal. */
function findFault({ decision: before, ofState }: Last, decision: DestinationDecision): string | null {
  const { state, cause } = decision
  const from = before?.state ?? 'flowing'
  if (isOfPace(decision)) return findPaceFault(before, decision)
  if (!isSameLimit(before, decision)) return `changes the limit, but is by ${cause}`
  const causes = followUps[from]?.[state]
  if (causes === undefined) return `leads from ${from} to ${state}`
  const found = causes.find(({ name }) => name === cause)
  if (found === undefined) return `leads from ${from} to ${state} by ${cause}`
  if (found.count !== null && decision[found.count] === 0) return `is by ${cause}, but counts none`
  if (found !== until) return null
  // A decision about the pace, which may have come in the pause, has no end.
  const endsAt = ofState?.until ?? null
  if (endsAt === null) return 'ends a pause that has no end'
  if (decision.recordedAt < endsAt) return 'ends a pause before its time'
  return null
}

/** Returns what is wrong with a decision about the pace; null if nothing is. */
function findPaceFault(before: DestinationDecision | null, decision: DestinationDecision): string | null {
  const { state, cause, until } = decision
  const from = before?.state ?? 'flowing'
  if (state !== from) return `leads from ${from} to ${state} by ${cause}`
  if (until !== null) return `is by ${cause}, but has an end`
  const isOfLimit = cause === 'rate' || cause === 'setting'
  if (!isOfLimit && !isSameLimit(before, decision)) return `changes the limit, but is by ${cause}`
  return null
}

function isSameLimit(before: DestinationDecision | null, { limit }: DestinationDecision): boolean {
  const known = before?.limit ?? null
  return known?.perSecond === limit?.perSecond && known?.burst === limit?.burst
}

function checkKept(
  destination: string,
  { decision: last, ofState }: Last,
  kept: Kept | undefined,
  { S4 }: Invariants,
): void {
  const name = `destination ${destination}`
  S4.checked++
  if (kept === undefined) {
    S4.differ(name, null, 'has no row in destinations')
    return
  }
  for (const [column, stored, decided] of [
    ['decision', kept.decision, last?.decision ?? 0],
    ['state_decision', kept.stateDecision, ofState?.decision ?? null],
    ['state', kept.state, ofState?.state ?? 'flowing'],
    ['cause', kept.cause, ofState?.cause ?? null],
    ['since', show(kept.since), show(ofState?.recordedAt ?? null)],
    ['until', show(kept.until), show(ofState?.until ?? null)],
    ['rate_limit', readNumber(kept.rateLimit), last?.limit?.perSecond ?? null],
    ['rate_burst', kept.rateBurst, last?.limit?.burst ?? null],
  ] as const)
    if (stored !== decided)
      S4.differ(name, null, `destinations.${column} is ${stored}, its decisions give ${decided}`)
  if (kept.state === 'held' && !kept.isProbed) S4.differ(name, null, 'is held, and no probe is planned')
}

async function readKept(client: pg.Client): Promise<Map<string, Kept>> {
  const found = new Map<string, Kept>()
  const select = `select destination, decision, state_decision, state, cause, since, until, rate_limit::text, rate_burst,
      next_probe_at is not null and probe_delay_ms is not null
    from destinations order by destination`
  await copyRows(client, select, (row) => {
    found.set(row.text(), {
      decision: row.integer(),
      stateDecision: row.integerOrNull(),
      state: row.text(),
      cause: row.textOrNull(),
      since: row.microsOrNull(),
      until: row.microsOrNull(),
      rateLimit: row.textOrNull(),
      rateBurst: row.integerOrNull(),
      isProbed: row.booleanOrNull() === true,
    })
  })
  return found
}

function readNumber(text: string | null): number | null {
  return text === null ? null : Number(text)
}
