import type pg from 'pg'
import type { ArchivedSegment, Archives } from './archives.ts'
import type { LogEvent } from './event.ts'
import type { Invariants } from './invariants.ts'
import type { Message } from './message.ts'
import { agedMinute, agedTime, type RollupBounds } from './rollup-bounds.ts'

// The minute of measures that stand for the present.
const now = -1
const minuteMicros = 60_000_000

/** Where the buckets of durations begin, in microseconds: from 100 µs on, four buckets until the duration has doubled. */
const bucketBounds = Array.from({ length: 140 }, (_, at) => boundAt(at))

/**
 * S4: counts each measure of each minute by what the events mean, and compares the counts with the service's rollups. It keeps
 * one number for each measure of each minute, or of each hour or day where the rollups have aged.
 */
export class Rollups {
  readonly #invariants: Invariants
  readonly #bounds: RollupBounds
  readonly #causeless: readonly ArchivedSegment[]
  /** The counts, by measure and bucket, then by minute since 1970. */
  readonly #counts = new Map<string, Map<number, number>>()

  /** @param causeless the segments that the rollups have no causes of open dead letters of */
  constructor(bounds: RollupBounds, causeless: readonly ArchivedSegment[], invariants: Invariants) {
    this.#bounds = bounds
    this.#causeless = causeless
    this.#invariants = invariants
  }

  /** Call it for every event, before it is folded into its message. */
  add(message: Message, event: LogEvent): void {
    const minute = agedMinute(Math.floor(event.recordedAt / minuteMicros), this.#bounds)
    const measure = measureOf(message, event)
    if (measure !== null) this.#add(measure, 0, minute)
    if (measure === 'succeeded' && message.last !== null)
      this.#addDuration('end_to_end', event.recordedAt - message.createdAt, minute)
    if (event.durationMs !== null && (event.type === 'succeeded' || event.type === 'attempt_failed'))
      this.#addDuration('attempt', event.durationMs * 1_000, minute)
  }

  /** Call it for every message when all its events were read. */
  addMessage(message: Message): void {
    this.#add('retries', message.retryCount, now)
    if (message.heldAt !== null) this.#add('on_hold', 0, now)
    if (message.resolvedAt !== null) this.#add('resolved_dead_letter', 0, now)
    else if (message.status === 'dead_letter' && !this.#isCauseless(message))
      this.#add(`open_dead_letter_${message.letterCause}`, 0, now)
    if (!message.outcomeUnknown) return
    const isEnded = message.status === 'success' || message.status === 'dead_letter'
    this.#add(`unknown_${isEnded ? message.status : 'open'}`, 0, now)
  }

  /** Call it when the whole log was read. What could not be read counts as the log remembers it. */
  async finish(client: pg.Client, archives: Archives): Promise<void> {
    await this.#addArchived(client, archives)
    const { rows } = await client.query<{ minute: string; measure: string; bucket: number; n: string }>(`
      select case when r.minute = '-infinity' then ${now} else extract(epoch from r.minute) / 60 end::bigint as minute,
        r.measure, r.bucket, case when r.measure in ('end_to_end_max', 'attempt_max') then max(r.n) else sum(r.n) end as n
      from (
        select minute, measure, bucket, n from rollups
        union all
        select ${agedTime('u.minute')}, u.measure, u.bucket, u.n
        from status_count_deltas d
        cross join lateral unnest(d.minutes, d.measures, d.buckets, d.counts) as u(minute, measure, bucket, n)
        where d.position >= (select max(bound) from status_count_folds)
      ) r
      group by r.minute, r.measure, r.bucket`)
    for (const { minute, measure, bucket, n } of rows) this.#check(measure, bucket, Number(minute), Number(n))
    for (const [key, minutes] of this.#counts) {
      const [measure = '', bucket = ''] = key.split('/')
      for (const minute of [...minutes.keys()]) this.#check(measure, Number(bucket), minute, 0)
    }
  }

  #isCauseless({ messageId }: Message): boolean {
    return this.#causeless.some(
      ({ firstMessageId, nextMessageId }) => messageId >= firstMessageId && messageId < nextMessageId,
    )
  }

  async #addArchived(client: pg.Client, { missing }: Archives): Promise<void> {
    const { rows } = await client.query<{ minute: string; measure: string; bucket: number; n: string }>(
      `select case when minute = '-infinity' then ${now} else extract(epoch from minute) / 60 end::bigint as minute,
        measure, bucket, n
      from archived_rollups where segment = any ($1)`,
      [missing.map(({ segment }) => segment)],
    )
    for (const { minute: at, measure, bucket, n } of rows) {
      const minutes = this.#minutes(measure, bucket)
      const minute = Number(at) === now ? now : agedMinute(Number(at), this.#bounds)
      const known = minutes.get(minute) ?? 0
      minutes.set(minute, measure.endsWith('_max') ? Math.max(known, Number(n)) : known + Number(n))
    }
  }

  #addDuration(measure: string, micros: number, minute: number): void {
    this.#add(measure, bucketOf(micros), minute)
    const maxima = this.#minutes(`${measure}_max`, 0)
    maxima.set(minute, Math.max(maxima.get(minute) ?? 0, micros))
  }

  #add(measure: string, bucket: number, minute: number): void {
    const minutes = this.#minutes(measure, bucket)
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1)
  }

  #minutes(measure: string, bucket: number): Map<number, number> {
    const key = `${measure}/${bucket}`
    let minutes = this.#counts.get(key)
    if (minutes === undefined) {
      minutes = new Map()
      this.#counts.set(key, minutes)
    }
    return minutes
  }

  /** Compares one rollup with what was counted, and forgets the count. */
  #check(measure: string, bucket: number, minute: number, stored: number): void {
    const { S4 } = this.#invariants
    const minutes = this.#minutes(measure, bucket)
    const counted = minutes.get(minute) ?? 0
    minutes.delete(minute)
    S4.checked++
    if (stored === counted) return
    const at = minute === now ? 'now' : new Date(minute * 60_000).toISOString()
    S4.differ(
      `rollup of ${measure}`,
      null,
      `bucket ${bucket} at ${at} is ${stored}, folding gives ${counted}`,
    )
  }
}

/** The measure that counts an event; null for an event that tells nothing new about any message. */
function measureOf(message: Message, event: LogEvent): string | null {
  switch (event.type) {
    case 'received':
    case 'succeeded':
    case 'dead_lettered':
    case 'replayed':
    case 'rejected':
      return event.type
    case 'cancelled':
      return 'dead_lettered'
    case 'attempt_started':
      return 'attempts'
    case 'attempt_failed':
      return event.outcome
    case 'attempt_abandoned':
      return 'abandoned'
    case 'duplicate_received':
      return 'duplicates'
    case 'conflict_received':
      return event.version === 1 ? 'conflicts' : null
    case 'late_result_observed':
      return event.outcome === 'accepted' && message.status !== 'success' ? 'succeeded' : null
    case 'expunged':
    case 'held':
    case 'released':
    case 'resolved':
    case 'reopened':
    case 'inquiry_started':
    case 'inquired':
      return null
  }
}

/** The number of bounds at or below the duration. */
function bucketOf(micros: number): number {
  let [low, high] = [0, bucketBounds.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((bucketBounds[middle] ?? Infinity) <= micros) low = middle + 1
    else high = middle
  }
  return low
}

/** Rounds up, but leaves a power of two as it is: floating point may have added a little to it. */
function boundAt(at: number): number {
  return at % 4 === 0 ? 100 * 2 ** (at / 4) : Math.ceil(100 * 2 ** (at / 4))
}
