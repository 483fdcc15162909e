import type pg from 'pg'

/** A change of the server below the log, as the first instance that noticed it wrote it down. Positions are null where unknown. */
export type ServerChange = {
  readonly epoch: number
  /** When it was noticed, by the database's clock, in RFC 3339. */
  readonly noticedAt: string
  readonly actor: string
  readonly fromTimeline: number
  readonly timeline: number
  /** What was committed after this, in RFC 3339, may be missing. */
  readonly lostAfter: string
  /** The highest position that was seen before, and the last one that is there. */
  readonly fromPosition: number | null
  readonly position: number
}

type Window = ServerChange & {
  /** Positions of the log after the change lie above it. */
  readonly base: number
  readonly first: number
  readonly last: number
}

// The processor's clock is another than the database's.
const toleranceMicros = 1_000_000

/**
 * The times in which the log has lost what was committed: from the last transaction that the server of today has of the former one
 * to when no attempt that was started on the former one can send any more. Requests of such attempts are in the processor's
 * ledger and not in the log; whatever Kafka hands over again is sent again under the same key.
 */
export class LostWindows {
  readonly changes: readonly ServerChange[]
  readonly #windows: readonly Window[]

  constructor(windows: readonly Window[]) {
    this.#windows = windows
    this.changes = windows
  }

  /** @param at in microseconds since 1970 */
  contain(at: number): boolean {
    return this.#windows.some(({ first, last }) => at >= first && at <= last)
  }

  /** Whether the server had changed by then. */
  hasChangedBy(at: number): boolean {
    return this.#windows.some(({ first }) => at >= first)
  }

  /** The first change between two places of the log, as the position that its epoch begins at; null if there is none. */
  findBetween(from: number, to: number): number | null {
    return this.#windows.find(({ base }) => base >= from && base < to)?.base ?? null
  }
}

export async function readLostWindows(client: pg.Client): Promise<LostWindows> {
  const { rows } = await client.query<Row>(`
    select c.epoch, c.actor, c.timeline, c.from_timeline, c.from_position, c.position, l.base,
      c.recorded_at as noticed_at, coalesce(c.lost_after, c.recorded_at) as lost_after,
      (extract(epoch from coalesce(c.lost_after, c.recorded_at)) * 1000000)::bigint as first,
      (extract(epoch from c.recorded_at) * 1000000)::bigint + (select coalesce(max(timeout_ms), 0) from instances) * 1000 as last
    from server_changes c join log_epochs l on l.epoch = c.epoch
    where c.from_timeline is not null
    order by c.epoch`)
  return new LostWindows(
    rows.map((row) => ({
      epoch: row.epoch,
      actor: row.actor,
      noticedAt: row.noticed_at.toISOString(),
      lostAfter: row.lost_after.toISOString(),
      timeline: row.timeline,
      fromTimeline: row.from_timeline,
      fromPosition: row.from_position === null ? null : Number(row.from_position),
      position: Number(row.position),
      base: Number(row.base),
      first: Number(row.first) - toleranceMicros,
      last: Number(row.last) + toleranceMicros,
    })),
  )
}

/** Outcomes of attempts that were lost, of payments that the log does not have. */
export async function countStrays(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ strays: string }>('select count(*) as strays from stray_outcomes')
  return Number(rows[0]?.strays ?? 0)
}

type Row = {
  epoch: number
  actor: string
  timeline: number
  from_timeline: number
  from_position: string | null
  position: string
  base: string
  noticed_at: Date
  lost_after: Date
  first: string
  last: string
}
