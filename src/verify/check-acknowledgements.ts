import { doubled } from './doubled.ts'
import { isRecordEvent, type LogEvent } from './event.ts'
import { namedMax, type Invariants } from './invariants.ts'
import { readJsonLines, readLineAt } from './json-lines.ts'
import { nameOf, type Message } from './message.ts'
import { OffsetMap } from './offset-map.ts'

const file = 'The file of acknowledgements'

type Line = { partition: string; offset: number; transactionId: string; sha256: string }

/**
 * S20: what the broker acknowledged, by the producer's file. Holds 21 bytes a record: its place, the first 64 bits of its
 * hash, where its line begins, and whether it was found.
 */
export class Acknowledgements {
  readonly #path: string
  readonly #invariants: Invariants
  readonly #partitions = new Map<string, OffsetMap>()
  #hashes = new Uint32Array(2048)
  #lines = new Float64Array(1024)
  #found = new Uint8Array(1024)
  #count = 0

  constructor(path: string, invariants: Invariants) {
    this.#path = path
    this.#invariants = invariants
  }

  read(): void {
    readJsonLines(this.#path, file, 0, parseLine, (line, at) => this.#add(line, at))
  }

  /** Call it for every event. */
  check(message: Message, event: LogEvent): void {
    if (!isRecordEvent(event) || event.offset === null || event.payloadSha256 === null) return
    const entry = this.#partitions.get(`${event.topic}:${event.partition}`)?.get(event.offset) ?? 0
    if (entry === 0) return
    this.#found[entry] = 1
    if (!this.#holds(entry, event.payloadSha256))
      this.#invariants.S20.differ(nameOf(message), event.version, 'was acknowledged with other bytes')
  }

  /**
   * @param nextOffsets where each partition stands
   * @returns how many acknowledged records are not yet consumed
   */
  finish(nextOffsets: ReadonlyMap<string, number>): number {
    const { S20 } = this.#invariants
    let notYetConsumed = 0
    for (const [partition, entries] of this.#partitions) {
      const next = nextOffsets.get(partition) ?? 0
      for (const offset of entries.outside(0, 0)) {
        const entry = entries.get(offset)
        S20.checked++
        if (this.#found[entry] === 1) continue
        if (offset >= next) notYetConsumed++
        else if (S20.named.length === namedMax) S20.differMore(1)
        else
          S20.differ(
            this.#nameEntry(entry),
            null,
            `${partition}:${offset} is acknowledged and not in the log`,
          )
      }
    }
    return notYetConsumed
  }

  #add(line: Line, at: number): void {
    let entries = this.#partitions.get(line.partition)
    if (entries === undefined) {
      entries = new OffsetMap(4)
      this.#partitions.set(line.partition, entries)
    }
    const known = entries.get(line.offset)
    if (known !== 0) {
      if (!this.#holds(known, line.sha256)) {
        const what = `${line.partition}:${line.offset} is acknowledged twice, with other bytes`
        this.#invariants.S20.differ(line.transactionId, null, what)
      }
      return
    }
    const entry = ++this.#count
    if (entry === this.#lines.length) {
      this.#hashes = doubled(this.#hashes)
      this.#lines = doubled(this.#lines)
      this.#found = doubled(this.#found)
    }
    entries.set(line.offset, entry)
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
