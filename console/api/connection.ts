import { computed, signal } from '@preact/signals'

export type Cut = {
  /** When the last sign of life came, in milliseconds since 1970; where none ever did, when this page noticed. */
  readonly sinceMs: number
  readonly reason: string
}

const cuts = signal<ReadonlyMap<symbol, Cut>>(new Map())
const live = signal<ReadonlySet<symbol>>(new Set())

/** The oldest cut of what this page follows; null while all of it is live, or begins. */
export const cut = computed<Cut | null>(() => {
  const all = [...cuts.value.values()].sort((left, right) => left.sinceMs - right.sinceMs)
  return all[0] ?? null
})

let heardMs: number | null = null

/** Something came over the socket. */
export function markHeard(): void {
  heardMs = Date.now()
}

/** Whether anything is followed and has come. */
export const isLive = computed(() => live.value.size > 0)

export function markLive(follower: symbol): void {
  if (!live.value.has(follower)) live.value = new Set([...live.value, follower])
  if (cuts.value.has(follower)) cuts.value = without(cuts.value, follower)
}

/** @param lastMs when something last came by its own way; by the socket where it is left out */
export function markCut(follower: symbol, reason: string, lastMs = heardMs): void {
  // What came to a page that was left says nothing of what this one follows.
  const sinceMs = (live.value.has(follower) ? lastMs : null) ?? Date.now()
  live.value = new Set([...live.value].filter((each) => each !== follower))
  // The first reason says more than those of the attempts to come back.
  if (!cuts.value.has(follower)) cuts.value = new Map([...cuts.value, [follower, { sinceMs, reason }]])
}

export function markLeft(follower: symbol): void {
  live.value = new Set([...live.value].filter((each) => each !== follower))
  cuts.value = without(cuts.value, follower)
}

function without(map: ReadonlyMap<symbol, Cut>, follower: symbol): ReadonlyMap<symbol, Cut> {
  return new Map([...map].filter(([each]) => each !== follower))
}
