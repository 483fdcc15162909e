import type pg from 'pg'
import type { Archives } from './archives.ts'
import { offsetKinds } from './records.ts'
import { copyRows } from './copy-rows.ts'
import type { Invariants } from './invariants.ts'
import { namePartition } from './name-partition.ts'
import { OffsetMap } from './offset-map.ts'
import { readIncarnations, type Gap, type Incarnation } from './read-incarnations.ts'
import { Spans } from './spans.ts'

type Advance = {
  name: string
  first: number
  next: number
  /** What the row says about its offsets, by the numbers of `offsetKinds`. */
  counts: readonly number[]
  holes: number
  gaps: number
  actor: string
  /** The messages of its records have ids of a segment whose archive was not given. */
  isArchived: boolean
}

/** A gap, its partition, and the checker's name for that. */
export type GivenUp = Gap & { readonly topic: string; readonly number: number; readonly name: string }

/** Where each partition stands, by `topic:partition`, and what operators gave up. */
export type Standing = {
  readonly nextOffsets: ReadonlyMap<string, number>
  readonly givenUp: readonly GivenUp[]
}

/**
 * S12 and the rest of S2, for each incarnation of a partition:
 *
 * - The advances are a chain without a gap.
 * - Every offset in the chain is a record event, lies in exactly one recorded hole, or was given up by an operator's decision.
 *   Of the offsets whose events are in archives that were not given, only how many there are is checked.
 * - No record event lies outside of the chain.
 *
 * @param partitions the offsets that the events of the log account for
 */
export async function checkPartitions(
  client: pg.Client,
  partitions: ReadonlyMap<string, OffsetMap>,
  archives: Archives,
  invariants: Invariants,
): Promise<Standing> {
  const unread = new Unread(archives)
  const incarnations = await readIncarnations(client)
  const chains = new Map<string, Chain>()
  await readAdvances(client, archives, (advance) => {
    let chain = chains.get(advance.name)
    if (chain === undefined) {
      const { name } = advance
      chain = new Chain(advance, partitions.get(name), incarnations.get(name), unread, invariants)
      chains.set(name, chain)
    }
    chain.add(advance)
  })
  for (const chain of chains.values()) chain.finish()
  unread.finish(invariants)
  for (const [name, offsets] of partitions) checkOutside(name, offsets, chains.get(name), invariants)
  for (const [name, { holes, gaps }] of incarnations)
    if (holes.length + gaps.length > 0 && !chains.has(name))
      invariants.S12.differ(name, null, 'has a hole, but never advanced')
  return stand(incarnations, chains)
}

/** The present incarnation is the last one. */
function stand(incarnations: ReadonlyMap<string, Incarnation>, chains: ReadonlyMap<string, Chain>): Standing {
  const nextOffsets = new Map<string, number>()
  const givenUp: GivenUp[] = []
  for (const [name, { topic, partition, beginsAt, gaps }] of incarnations) {
    nextOffsets.set(`${topic}:${partition}`, chains.get(name)?.next ?? beginsAt ?? 0)
    for (const gap of gaps) givenUp.push({ ...gap, topic, number: partition, name })
  }
  return { nextOffsets, givenUp }
}

async function readAdvances(
  client: pg.Client,
  archives: Archives,
  onAdvance: (advance: Advance) => void,
): Promise<void> {
  const select = `select p.topic, p.partition, p.incarnation, a.first_offset, a.next_offset, a.received, a.duplicates,
      a.conflicts, a.rejected, a.holes, a.gaps, a.actor, a.first_message_id, a.last_message_id
    from partition_advances a join partitions p on p.partition_id = a.partition_id
    order by a.partition_id, a.next_offset`
  await copyRows(client, select, (row) => {
    onAdvance({
      name: namePartition(row.text(), row.integer(), row.integer()),
      first: row.integer(),
      next: row.integer(),
      counts: [0, row.integer(), row.integer(), row.integer(), row.integer()],
      holes: row.integer(),
      gaps: row.integer(),
      actor: row.text(),
      isArchived: archives.lacks(row.integerOrNull(), row.integerOrNull()),
    })
  })
}

const countedNames = Object.entries(offsetKinds).filter(([, kind]) => kind !== offsetKinds.none)

/** How many offsets have their events in archives that were not given, by the numbers of `offsetKinds`. */
class Unread {
  readonly #left: number[]
  readonly #isNone: boolean
  readonly #count: number

  constructor({ missing }: Archives) {
    this.#left = [0, 1, 2, 3, 4].map((kind) =>
      missing.reduce((sum, { records }) => sum + (records[kind] ?? 0), 0),
    )
    this.#count = this.#left.reduce((sum, each) => sum + each, 0)
    this.#isNone = missing.length === 0
  }

  /** Takes the offsets that an advance says more than the log has; returns whether they can be in an archive. */
  take(kind: number, lacking: number, isArchived: boolean): boolean {
    const left = this.#left[kind] ?? 0
    // A duplicate's event is its message's, which may be far below the messages of the advance.
    if (lacking > left || !(isArchived || kind === offsetKinds.duplicates)) return false
    this.#left[kind] = left - lacking
    return true
  }

  /** S12: call it when all advances were read. */
  finish({ S12 }: Invariants): void {
    if (this.#isNone) return
    S12.limit = `without --archive, ${this.#count} offsets are only counted: their events are archived`
    for (const [what, kind] of countedNames) {
      const left = this.#left[kind] ?? 0
      if (left > 0) S12.differ('archives', null, `have ${left} ${what} more than the partitions lack`)
    }
  }
}

/** The advances of one incarnation of a partition, in order. */
class Chain {
  readonly first: number
  next: number
  readonly #name: string
  readonly #offsets: OffsetMap
  readonly #holes: Spans
  readonly #gaps: Spans
  readonly #unread: Unread
  readonly #invariants: Invariants

  constructor(
    start: Advance,
    offsets: OffsetMap | undefined,
    incarnation: Incarnation | undefined,
    unread: Unread,
    invariants: Invariants,
  ) {
    this.#name = start.name
    this.first = start.first
    this.next = start.first
    this.#offsets = offsets ?? new OffsetMap(1)
    this.#holes = new Spans(incarnation?.holes)
    this.#gaps = new Spans(incarnation?.gaps)
    this.#unread = unread
    this.#invariants = invariants
    const beginsAt = incarnation?.beginsAt ?? start.first
    if (beginsAt !== start.first)
      invariants.S12.differ(
        this.#name,
        null,
        `its first advance begins at ${start.first}, but should begin at ${beginsAt}`,
      )
  }

  add(advance: Advance): void {
    const { S12, S14 } = this.#invariants
    S12.checked += advance.next - advance.first
    if (advance.first !== this.next)
      S12.differ(
        this.#name,
        null,
        `an advance begins at ${advance.first}, but the one before ends at ${this.next}`,
      )
    this.next = advance.next
    if (advance.actor.trim() === '')
      S14.differ(this.#name, null, `the advance to ${advance.next} has no actor`)
    const counts = [0, 0, 0, 0, 0]
    this.#offsets.count(advance.first, advance.next, counts)
    let unread = 0
    for (const [what, kind] of countedNames) {
      const lacking = (advance.counts[kind] ?? 0) - (counts[kind] ?? 0)
      if (lacking === 0) continue
      if (lacking > 0 && this.#unread.take(kind, lacking, advance.isArchived)) unread += lacking
      else this.#differ(advance, `says ${advance.counts[kind]} ${what}, but the log has ${counts[kind]}`)
    }
    const holes = this.#holes.count(advance.first, advance.next)
    if (holes !== advance.holes)
      this.#differ(advance, `says ${advance.holes} in holes, but ${holes} are recorded`)
    const gaps = this.#gaps.count(advance.first, advance.next)
    if (gaps !== advance.gaps)
      this.#differ(advance, `says that ${advance.gaps} were given up, but the decisions say ${gaps}`)
    if (holes + gaps + unread !== counts[offsetKinds.none])
      this.#differ(
        advance,
        `${counts[offsetKinds.none]} have no event, ${holes} lie in recorded holes${gaps === 0 ? '' : `, ${gaps} were given up`}`,
      )
  }

  finish(): void {
    this.#checkSpans(this.#holes, 'hole')
    this.#checkSpans(this.#gaps, 'gap')
  }

  #checkSpans(spans: Spans, what: string): void {
    let covered = this.first
    for (const { first, next } of spans.all) {
      const counts = [0, 0, 0, 0, 0]
      this.#offsets.count(first, next, counts)
      const events = next - first - (counts[offsetKinds.none] ?? 0)
      const span = `the ${what} from ${first} to ${next}`
      if (events > 0)
        this.#invariants.S12.differ(this.#name, null, `${events} offsets in ${span} have events`)
      if (first < covered) this.#invariants.S12.differ(this.#name, null, `${span} begins before ${covered}`)
      if (next > this.next) this.#invariants.S12.differ(this.#name, null, `${span} ends after ${this.next}`)
      covered = Math.max(covered, next)
    }
  }

  #differ({ first, next }: Advance, what: string): void {
    this.#invariants.S12.differ(this.#name, null, `offsets ${first} to ${next - 1}: ${what}`)
  }
}

/** S2: finds record events of offsets that were never consumed. */
function checkOutside(name: string, offsets: OffsetMap, chain: Chain | undefined, { S2 }: Invariants): void {
  const first = chain?.first ?? 0
  const next = chain?.next ?? 0
  for (const offset of offsets.outside(first, next))
    S2.differ(`${name}:${offset}`, null, 'has a record event, but was never consumed')
}
