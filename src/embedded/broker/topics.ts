import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ulid } from 'ulid'
import { errorCode, type ErrorCode } from './error-code.ts'
import { PartitionLog } from './partition-log.ts'

const legalName = /^[a-zA-Z0-9._-]{1,249}$/
const partitionsMax = 1000
export const partitionsDefault = 3

/**
 * The topics, as folders: `topics/NAME/PARTITION.log`. The folders are the only record of the topics. So a
 * new topic is built in `staging` and then renamed to its name, and a deleted one is first renamed back:
 * after a crash a topic either exists or does not.
 */
export class Topics {
  readonly #dir: string
  readonly #staging: string
  readonly #topics = new Map<string, PartitionLog[]>()

  constructor(dataDir: string) {
    this.#dir = join(dataDir, 'topics')
    this.#staging = join(dataDir, 'staging')
    rmSync(this.#staging, { recursive: true, force: true })
    mkdirSync(this.#staging)
    mkdirSync(this.#dir, { recursive: true })
    for (const name of readdirSync(this.#dir)) this.#open(name)
  }

  names(): string[] {
    return [...this.#topics.keys()]
  }

  partitions(name: string): readonly PartitionLog[] | undefined {
    return this.#topics.get(name)
  }

  partition(name: string, partition: number): PartitionLog | undefined {
    return this.#topics.get(name)?.[partition]
  }

  judgeCreate(name: string, partitions: number): ErrorCode {
    if (!legalName.test(name) || name === '.' || name === '..') return errorCode.invalidTopic
    if (this.#topics.has(name)) return errorCode.topicAlreadyExists
    if (partitions < 1 || partitions > partitionsMax) return errorCode.invalidPartitions
    return errorCode.none
  }

  create(name: string, partitions: number): ErrorCode {
    const refusal = this.judgeCreate(name, partitions)
    if (refusal !== errorCode.none) return refusal
    const staged = join(this.#staging, ulid())
    mkdirSync(staged)
    for (let partition = 0; partition < partitions; partition += 1) {
      new PartitionLog(join(staged, fileName(partition))).close()
    }
    renameSync(staged, join(this.#dir, name))
    this.#open(name)
    return errorCode.none
  }

  judgeGrow(name: string, partitions: number): ErrorCode {
    const logs = this.#topics.get(name)
    if (logs === undefined) return errorCode.unknownTopicOrPartition
    if (partitions <= logs.length || partitions > partitionsMax) return errorCode.invalidPartitions
    return errorCode.none
  }

  /**
   * Adds partitions until there are `partitions` of them. A crash in between leaves fewer, which is a valid
   * topic too.
   */
  grow(name: string, partitions: number): ErrorCode {
    const refusal = this.judgeGrow(name, partitions)
    if (refusal !== errorCode.none) return refusal
    const logs = this.#topics.get(name) ?? []
    while (logs.length < partitions) logs.push(new PartitionLog(join(this.#dir, name, fileName(logs.length))))
    return errorCode.none
  }

  delete(name: string): ErrorCode {
    const logs = this.#topics.get(name)
    if (logs === undefined) return errorCode.unknownTopicOrPartition
    const staged = join(this.#staging, ulid())
    renameSync(join(this.#dir, name), staged)
    this.#topics.delete(name)
    for (const log of logs) log.close()
    rmSync(staged, { recursive: true })
    return errorCode.none
  }

  close(): void {
    for (const logs of this.#topics.values()) for (const log of logs) log.close()
    this.#topics.clear()
  }

  #open(name: string): void {
    const dir = join(this.#dir, name)
    const count = readdirSync(dir).filter((file) => file.endsWith('.log')).length
    this.#topics.set(
      name,
      Array.from({ length: count }, (_, partition) => new PartitionLog(join(dir, fileName(partition)))),
    )
  }
}

function fileName(partition: number): string {
  return `${String(partition)}.log`
}
