import type { Standing } from './check-partitions.ts'
import { doubled } from './doubled.ts'
import { isRecordEvent, type LogEvent } from './event.ts'
import { namedMax, type Invariants } from './invariants.ts'
import { readJsonLines, readLineAt } from './read-json-lines.ts'
import { OffsetMap } from './offset-map.ts'

const file = 'The file of acknowledgements'

type Line = { partition: string; offset: number; transactionId: string; sha256: string }

/** What the log has about an acknowledged record. */
const found = { nothing: 0, otherBytes: 1, itself: 2 } as const

/**
 * S20: checks what the broker acknowledged, according to the producer's file.
 *
 * It keeps 25 bytes a record: its place, the first 64 bits of its hash, where its line begins, what the log has about it, and
 * another record that was acknowledged under the same offset. That happens when a topic is created anew: a line does not say
 * which incarnation it is about.
 */
export class Acknowledgements {
  readonly #path: string
  readonly #invariants: Invariants
  readonly #partitions = new Map<string, OffsetMap>()
  #hashes = new Uint32Array(2048)
  #lines = new Float64Array(1024)
  #found = new Uint8Array(1024)
  #others = new Int32Array(1024)
  #count = 0

  constructor(path: string, invariants: Invariants) {
    this.#path = path
    this.#invariants = invariants
  }

  read(): void {
    readJsonLines(this.#path, file, 0, parseLine, (line, at) => this.#add(line, at))
  }

  /** Call it for every event. */
  check(event: LogEvent): void {
    if (!isRecordEvent(event) || event.offset === null || event.payloadSha256 === null) return
    let entry = this.#partitions.get(`${event.topic}:${event.partition}`)?.get(event.offset) ?? 0
    for (; entry !== 0; entry = this.#others[entry] ?? 0) {
      const isItself = this.#holds(entry, event.payloadSha256)
      this.#found[entry] = Math.max(this.#found[entry] ?? 0, isItself ? found.itself : found.otherBytes)
    }
  }

  /**
   * @param standing where each partition stands, and what operators gave up
   * @returns the numbers of acknowledged records that are not yet consumed, and that operators gave up
   */
  finish({ nextOffsets, givenUp }: Standing): { notYetConsumed: number; givenUp: number } {
    const counts = { notYetConsumed: 0, givenUp: 0 }
    for (const [partition, entries] of this.#partitions) {
      const next = nextOffsets.get(partition) ?? 0
      const gaps = givenUp.filter((gap) => `${gap.topic}:${gap.number}` === partition)
      for (const offset of entries.outside(0, 0))
        for (let entry = entries.get(offset); entry !== 0; entry = this.#others[entry] ?? 0) {
          this.#invariants.S20.checked++
          if (this.#found[entry] === found.itself) continue
          if (gaps.some((gap) => offset >= gap.first && offset < gap.next)) counts.givenUp++
          else if (offset >= next && this.#found[entry] === found.nothing) counts.notYetConsumed++
          else this.#differ(entry, `${partition}:${offset}`)
        }
    }
    return counts
  }

  #differ(entry: number, record: string): void {
    const { S20 } = this.#invariants
    if (S20.named.length === namedMax) S20.differMore(1)
    else if (this.#found[entry] === found.otherBytes)
      S20.differ(this.#nameEntry(entry), null, `${record} was acknowledged with other bytes`)
    else S20.differ(this.#nameEntry(entry), null, `${record} is acknowledged, but not in the log`)
  }

  #add(line: Line, at: number): void {
    let entries = this.#partitions.get(line.partition)
    if (entries === undefined) {
      entries = new OffsetMap(4)
      this.#partitions.set(line.partition, entries)
    }
    const known = entries.get(line.offset)
    for (let each = known; each !== 0; each = this.#others[each] ?? 0)
      if (this.#holds(each, line.sha256)) return
    const entry = ++this.#count
    if (entry === this.#lines.length) {
      this.#hashes = doubled(this.#hashes)
      this.#lines = doubled(this.#lines)
      this.#found = doubled(this.#found)
      this.#others = doubled(this.#others)
    }
    entries.set(line.offset, entry)
    this.#others[entry] = known
    this.#hashes[2 * entry] = parseInt(line.sha256.slice(0, 8), 16)
    this.#hashes[2 * entry + 1] = parseInt(line.sha256.slice(8, 16), 16)
    this.#lines[entry] = at
  }

  #holds(entry: number, sha256: string): boolean {
    return (
      this.#hashes[2 * entry] === parseInt(sha256.slice(0, 8), 16) &&
      this.#hashes[2 * entry + 1] === parseInt(sha256.slice(8, 16), 16)
    )
  }

  #nameEntry(entry: number): string {
    const line = parseLine(JSON.parse(readLineAt(this.#path, file, this.#lines[entry] ?? 0)))
    return line?.transactionId ?? 'unknown'
  }
}

function parseLine(value: unknown): Line | null {
  if (value === null || typeof value !== 'object') return null
  const { topic, partition, offset, transaction_id, sha256 } = value as Record<string, unknown>
  if (typeof topic !== 'string' || typeof partition !== 'number' || typeof offset !== 'number') return null
  if (typeof transaction_id !== 'string' || typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))
    return null
  if (!Number.isSafeInteger(offset) || offset < 0) return null
  return { partition: `${topic}:${partition}`, offset, transactionId: transaction_id, sha256 }
}
