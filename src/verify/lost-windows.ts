import type pg from 'pg'

/**
 * A change of the server that the log is on, as recorded by the first instance that noticed it. A position that is not known is
 * null.
 */
export type ServerChange = {
  readonly epoch: number
  /** When it was noticed, by the database's clock, in RFC 3339. */
  readonly noticedAt: string
  readonly actor: string
  readonly fromTimeline: number
  readonly timeline: number
  /** Commits after this time, in RFC 3339, may be missing. */
  readonly lostAfter: string
  /** The highest position that was seen before the change; `position` is the last one that is still there. */
  readonly fromPosition: number | null
  readonly position: number
}

type Window = ServerChange & {
  /** Positions after the change lie above this one. */
  readonly base: number
  readonly first: number
  readonly last: number
}

// The processor's clock and the database's clock may differ.
const toleranceMicros = 1_000_000

/**
 * The times in which commits of the log were lost. Each begins with the last transaction of the former server that the new one
 * has. It ends when no attempt that was started on the former server can send any more. The processor's ledger has requests of
 * such attempts, and the log does not. Kafka hands their records over again, and they are sent again under the same key.
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

  /**
   * Returns whether the server had changed by then.
   *
   * @param at in microseconds since 1970
   */
  hasChangedBy(at: number): boolean {
    return this.#windows.some(({ first }) => at >= first)
  }

  /** Returns the position at which the epoch of the first change between two positions begins; null if there is no change. */
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

/** Counts the outcomes of lost attempts whose payments the log does not have. */
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
