import type pg from 'pg'
import { offsetKinds } from './check-records.ts'
import { copyRows } from './copy-rows.ts'
import type { Invariants } from './invariants.ts'
import { OffsetMap } from './offset-map.ts'

type Hole = { first: number; next: number }
type Advance = {
  name: string
  first: number
  next: number
  /** By offsetKinds: what the row says that its offsets became. */
  counts: readonly number[]
  holes: number
  actor: string
}

/**
 * S12 and the rest of S2: for each partition, that the advances are a chain without a gap, that every offset in it is a
 * record event or lies in exactly one recorded hole, and that no record event lies outside of it.
 *
 * @param partitions what the log's events account for
 * @returns the next offset of each partition
 */
export async function checkPartitions(
  client: pg.Client,
  partitions: ReadonlyMap<string, OffsetMap>,
  invariants: Invariants,
): Promise<Map<string, number>> {
  const holes = await readHoles(client)
  const chains = new Map<string, Chain>()
  await readAdvances(client, (advance) => {
    let chain = chains.get(advance.name)
    if (chain === undefined) {
      chain = new Chain(advance, partitions.get(advance.name), holes.get(advance.name) ?? [], invariants)
      chains.set(advance.name, chain)
    }
    chain.add(advance)
  })
  for (const chain of chains.values()) chain.finish()
  for (const [name, offsets] of partitions) checkOutside(name, offsets, chains.get(name), invariants)
  for (const name of holes.keys())
    if (!chains.has(name)) invariants.S12.differ(name, null, 'has a hole, and never advanced')
  return new Map(Array.from(chains, ([name, chain]) => [name, chain.next]))
}

async function readHoles(client: pg.Client): Promise<Map<string, Hole[]>> {
  const holes = new Map<string, Hole[]>()
  const select = `select p.topic, p.partition, h.first_offset, h.next_offset
    from partition_holes h join partitions p on p.partition_id = h.partition_id
    order by h.partition_id, h.first_offset, h.next_offset`
  await copyRows(client, select, (row) => {
    const name = `${row.text()}:${row.integer()}`
    const hole = { first: row.integer(), next: row.integer() }
    const before = holes.get(name)
    if (before === undefined) holes.set(name, [hole])
    else before.push(hole)
  })
  return holes
}

async function readAdvances(client: pg.Client, onAdvance: (advance: Advance) => void): Promise<void> {
  const select = `select p.topic, p.partition, a.first_offset, a.next_offset, a.received, a.duplicates, a.conflicts,
      a.rejected, a.holes, a.actor
    from partition_advances a join partitions p on p.partition_id = a.partition_id
    order by a.partition_id, a.next_offset`
  await copyRows(client, select, (row) => {
    onAdvance({
      name: `${row.text()}:${row.integer()}`,
      first: row.integer(),
      next: row.integer(),
      counts: [0, row.integer(), row.integer(), row.integer(), row.integer()],
      holes: row.integer(),
      actor: row.text(),
    })
  })
}

const countedNames = Object.entries(offsetKinds).filter(([, kind]) => kind !== offsetKinds.none)

/** One partition's advances, in order. */
class Chain {
  readonly first: number
  next: number
  readonly #name: string
  readonly #offsets: OffsetMap
  readonly #holes: readonly Hole[]
  readonly #invariants: Invariants
  #nextHole = 0

  constructor(
    start: Advance,
    offsets: OffsetMap | undefined,
    holes: readonly Hole[],
    invariants: Invariants,
  ) {
    this.#name = start.name
    this.first = start.first
    this.next = start.first
    this.#offsets = offsets ?? new OffsetMap(1)
    this.#holes = holes
    this.#invariants = invariants
  }

  add(advance: Advance): void {
    const { S12, S14 } = this.#invariants
    S12.checked += advance.next - advance.first
    if (advance.first !== this.next)
      S12.differ(
        this.#name,
        null,
        `an advance begins at ${advance.first}, the one before ends at ${this.next}`,
      )
    this.next = advance.next
    if (advance.actor.trim() === '')
      S14.differ(this.#name, null, `the advance to ${advance.next} has no actor`)
    const counts = [0, 0, 0, 0, 0]
    this.#offsets.count(advance.first, advance.next, counts)
    for (const [what, kind] of countedNames)
      if (counts[kind] !== advance.counts[kind])
        this.#differ(advance, `says ${advance.counts[kind]} ${what}, the log has ${counts[kind]}`)
    const holes = this.#countHoles(advance)
    if (holes !== advance.holes)
      this.#differ(advance, `says ${advance.holes} in holes, ${holes} are recorded`)
    if (holes !== counts[offsetKinds.none])
      this.#differ(advance, `${counts[offsetKinds.none]} have no event, ${holes} lie in recorded holes`)
  }

  finish(): void {
    let covered = this.first
    for (const { first, next } of this.#holes) {
      const counts = [0, 0, 0, 0, 0]
      this.#offsets.count(first, next, counts)
      const events = next - first - (counts[offsetKinds.none] ?? 0)
      const hole = `the hole from ${first} to ${next}`
      if (events > 0)
        this.#invariants.S12.differ(this.#name, null, `${events} offsets in ${hole} have events`)
      if (first < covered) this.#invariants.S12.differ(this.#name, null, `${hole} begins before ${covered}`)
      if (next > this.next) this.#invariants.S12.differ(this.#name, null, `${hole} ends after ${this.next}`)
      covered = Math.max(covered, next)
    }
  }

  /** How many offsets of the advance lie in holes. Advances and holes both come in order. */
  #countHoles({ first, next }: Advance): number {
    let count = 0
    while ((this.#holes[this.#nextHole]?.next ?? Infinity) <= first) this.#nextHole++
    for (let at = this.#nextHole; (this.#holes[at]?.first ?? Infinity) < next; at++) {
      const hole = this.#holes[at]
      if (hole !== undefined) count += Math.max(0, Math.min(next, hole.next) - Math.max(first, hole.first))
    }
    return count
  }

  #differ({ first, next }: Advance, what: string): void {
    this.#invariants.S12.differ(this.#name, null, `offsets ${first} to ${next - 1}: ${what}`)
  }
}

/** S2: record events of offsets that were never consumed. */
function checkOutside(name: string, offsets: OffsetMap, chain: Chain | undefined, { S2 }: Invariants): void {
  const first = chain?.first ?? 0
  const next = chain?.next ?? 0
  for (const offset of offsets.outside(first, next))
    S2.differ(`${name}:${offset}`, null, 'has a record event, and was never consumed')
}
