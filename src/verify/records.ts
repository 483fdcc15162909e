import type { Archives } from './archives.ts'
import { isRecordEvent, type LogEvent } from './event.ts'
import type { EventType } from './event-type.ts'
import type { Invariants } from './invariants.ts'
import { nameOf, type Message } from './message.ts'
import { namePartition } from './name-partition.ts'
import { OffsetMap } from './offset-map.ts'

/** What became of an offset, as a number for OffsetMap. `none` is an offset that no event accounts for. */
export const offsetKinds = { none: 0, received: 1, duplicates: 2, conflicts: 3, rejected: 4 } as const

const kindOf: Partial<Record<EventType, number>> = {
  received: offsetKinds.received,
  duplicate_received: offsetKinds.duplicates,
  conflict_received: offsetKinds.conflicts,
  rejected: offsetKinds.rejected,
}

type ConflictSide = {
  name: string
  version: number
  position: number
  messageId: number
  relatedId: number | null
}

/**
 * S2, the part that single events show: each offset has at most one record event, and a conflict has both its sides. It keeps
 * one byte for each consumed offset, and each conflict until its second side is read.
 */
export class Records {
  readonly partitions = new Map<string, OffsetMap>()
  readonly #invariants: Invariants
  readonly #halves = new Map<string, ConflictSide>()
  #lastName = ''
  #lastTopic: string | null = null
  #lastPartition: number | null = null
  #lastIncarnation: number | null = null

  constructor(invariants: Invariants) {
    this.#invariants = invariants
  }

  /** Call it for every event, before it is folded into its message. */
  check(message: Message, event: LogEvent): void {
    const { S2 } = this.#invariants
    const isRecord = isRecordEvent(event)
    if (isRecord || event.type === 'conflict_received') {
      const { topic, partition: number, incarnation, offset } = event
      if (topic === null || number === null || incarnation === null || offset === null) {
        S2.differ(nameOf(message), event.version, `${event.type} names no record`)
        return
      }
      const partition = this.#namePartition(topic, number, incarnation)
      const recordId = nameRecord(topic, number, incarnation, offset)
      if (isRecord) this.#account(message, event, partition, offset, recordId)
      if (event.type === 'conflict_received') this.#pair(message, event, recordId)
    } else if (event.topic !== null || event.offset !== null) {
      S2.differ(nameOf(message), event.version, `${event.type} names a record`)
    }
  }

  /**
   * S2: reports conflicts of which only one side was found. Call it when the whole log was read. The other side may be in an archive
   * that was not given. And an archived message takes no more events: a later conflict with it has one side.
   */
  finish(archives: Archives): void {
    for (const { name, version, position, messageId, relatedId } of this.#halves.values()) {
      const archived = archives.find(relatedId)
      if (archived !== undefined && archived.folder === null) continue
      if (archived !== undefined && version === 1 && position > (archived.highestPosition ?? 0)) continue
      this.#invariants.S2.differ(
        name,
        version,
        `only one side of the conflict of messages ${messageId} and ${relatedId} was found`,
      )
    }
  }

  #account(message: Message, event: LogEvent, partition: string, offset: number, recordId: string): void {
    const { S2 } = this.#invariants
    const name = nameOf(message)
    S2.checked++
    let offsets = this.partitions.get(partition)
    if (offsets === undefined) {
      offsets = new OffsetMap(1)
      this.partitions.set(partition, offsets)
    }
    if (offsets.get(offset) === offsetKinds.none) offsets.set(offset, kindOf[event.type] ?? offsetKinds.none)
    else S2.differ(name, event.version, `${partition}:${offset} is accounted for a second time`)
    if (event.version !== 1) return
    if (event.transactionId === null) S2.differ(name, 1, 'version 1 names no transaction id')
    else if ((event.type === 'received') === event.transactionId.startsWith('record:'))
      S2.differ(name, 1, `${event.type} under the transaction id ${event.transactionId}`)
    else if (event.type !== 'received' && event.transactionId !== recordId)
      S2.differ(name, 1, `${event.type} of ${recordId} under another record’s id`)
  }

  #pair(message: Message, event: LogEvent, record: string): void {
    const half = this.#halves.get(record)
    const side = {
      name: nameOf(message),
      version: event.version,
      position: event.position,
      messageId: event.messageId,
      relatedId: event.relatedMessageId,
    }
    if (half === undefined) {
      this.#halves.set(record, side)
      return
    }
    this.#halves.delete(record)
    if (half.messageId !== side.relatedId || half.relatedId !== side.messageId)
      this.#invariants.S2.differ(
        side.name,
        side.version,
        `the two sides of the conflict at ${record} do not name each other`,
      )
  }

  /** Most events have the same partition as the event before, and making a name costs a string. */
  #namePartition(topic: string, partition: number, incarnation: number): string {
    if (
      topic !== this.#lastTopic ||
      partition !== this.#lastPartition ||
      incarnation !== this.#lastIncarnation
    ) {
      this.#lastTopic = topic
      this.#lastPartition = partition
      this.#lastIncarnation = incarnation
      this.#lastName = namePartition(topic, partition, incarnation)
    }
    return this.#lastName
  }
}

/**
 * The transaction id of a rejected or conflicting record's own message (docs/decisions/0058-rejected-records.md). The SQL function
 * record_id has the same rule.
 */
function nameRecord(topic: string, partition: number, incarnation: number, offset: number): string {
  const id = `record:${topic}:${partition}:${offset}`
  return incarnation === 1 ? id : `${id}:${incarnation}`
}
