import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFile } from './replace-file.ts'

export interface CommittedOffset {
  topic: string
  partition: number
  offset: number
  metadata: string | null
}

/** One line of the file; a null offset deletes the earlier one. */
type Line = [group: string, topic: string, partition: number, offset: number | null, metadata: string | null]

const compactAboveBytes = 16 * 1024 * 1024

/**
 * The offsets that groups have committed: a file of JSON lines. New lines are appended; the file is rewritten
 * at the start and when it is long.
 */
export class CommittedOffsets {
  readonly #path: string
  readonly #groups = new Map<string, Map<string, CommittedOffset>>()
  #file: number
  #bytes = 0

  constructor(dataDir: string) {
    this.#path = join(dataDir, 'committed-offsets.jsonl')
    if (existsSync(this.#path)) this.#load()
    this.#file = this.#compact()
  }

  groups(): string[] {
    return [...this.#groups.keys()]
  }

  of(group: string): CommittedOffset[] {
    return [...(this.#groups.get(group)?.values() ?? [])]
  }

  find(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#groups.get(group)?.get(`${topic}/${partition}`)
  }

  commit(group: string, offsets: readonly CommittedOffset[]): void {
    this.#append(offsets.map((each) => [group, each.topic, each.partition, each.offset, each.metadata]))
  }

  deleteGroup(group: string): void {
    this.#append(this.of(group).map((each) => [group, each.topic, each.partition, null, null]))
  }

  /** A topic that is created again under its old name must not inherit offsets. */
  deleteTopic(topic: string): void {
    for (const group of this.groups()) {
      const gone = this.of(group).filter((each) => each.topic === topic)
      this.#append(gone.map((each) => [group, each.topic, each.partition, null, null]))
    }
  }

  close(): void {
    closeSync(this.#file)
  }

  #append(lines: Line[]): void {
    if (lines.length === 0) return
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    this.#bytes += writeSync(this.#file, text)
    for (const line of lines) this.#apply(line)
    if (this.#bytes < compactAboveBytes) return
    closeSync(this.#file)
    this.#file = this.#compact()
  }

  #apply([group, topic, partition, offset, metadata]: Line): void {
    const offsets = this.#groups.get(group) ?? new Map<string, CommittedOffset>()
    if (offset === null) offsets.delete(`${topic}/${partition}`)
    else offsets.set(`${topic}/${partition}`, { topic, partition, offset, metadata })
    if (offsets.size > 0) this.#groups.set(group, offsets)
    else this.#groups.delete(group)
  }

  /** A last line without its newline was cut off by a kill, before it was acknowledged. */
  #load(): void {
    const lines = readFileSync(this.#path, 'utf8').split('\n').slice(0, -1)
    for (const [index, line] of lines.entries()) {
      try {
        this.#apply(JSON.parse(line) as Line)
      } catch (cause) {
        throw new Error(
          `line ${index + 1} of ${this.#path} is damaged; delete the file to forget all committed offsets.`,
          {
            cause,
          },
        )
      }
    }
  }

  #compact(): number {
    const lines = this.groups().flatMap((group) =>
      this.of(group).map(
        (each) => [group, each.topic, each.partition, each.offset, each.metadata] satisfies Line,
      ),
    )
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    replaceFile(this.#path, text)
    this.#bytes = 0
    return openSync(this.#path, 'a')
  }
}
