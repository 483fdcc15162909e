import type pg from 'pg'

/** The settings under which an instance wrote its part of the log. */
export type Settings = {
  readonly freshMax: number
  readonly retryMax: number
  readonly leaseMs: number
  readonly retriesMax: number
  readonly baseDelayMs: number
  readonly maxDelayMs: number
  /** How long the processor remembers an idempotency key; null for ever, and of an older release. */
  readonly keyWindowMs: number | null
  /** How long it waits before it asks about a payment for the second time; null if it cannot ask. */
  readonly inquiryGapMs: number | null
}

/** An actor of the form `instance/lane`. `settings` is null if no such instance is registered. */
type Actor = { readonly lane: string; readonly settings: Settings | null }

/** Finds out who an actor is. Results are kept, because millions of events have the same few actors. */
export type FindActor = (actor: string) => Actor

export async function readActors(client: pg.Client): Promise<FindActor> {
  const { rows } = await client.query<Row>(`
    select instance, fresh_max as "freshMax", retry_max as "retryMax", lease_ms as "leaseMs",
      retries_max as "retriesMax", base_delay_ms as "baseDelayMs", max_delay_ms as "maxDelayMs",
      key_window_ms as "keyWindowMs", inquiry_gap_ms as "inquiryGapMs"
    from instances`)
  const settings = new Map(rows.map((row) => [row.instance, toSettings(row)]))
  const actors = new Map<string, Actor>()
  return (name) => {
    const known = actors.get(name)
    if (known !== undefined) return known
    const slash = name.lastIndexOf('/')
    const actor = {
      lane: name.slice(slash + 1),
      settings: settings.get(name.slice(0, Math.max(slash, 0))) ?? null,
    }
    actors.set(name, actor)
    return actor
  }
}

type Nullable = 'keyWindowMs' | 'inquiryGapMs'
type Row = Record<Exclude<keyof Settings, Nullable> | 'instance', string> & Record<Nullable, string | null>

function toSettings(row: Row): Settings {
  return {
    freshMax: Number(row.freshMax),
    retryMax: Number(row.retryMax),
    leaseMs: Number(row.leaseMs),
    retriesMax: Number(row.retriesMax),
    baseDelayMs: Number(row.baseDelayMs),
    maxDelayMs: Number(row.maxDelayMs),
    keyWindowMs: row.keyWindowMs === null ? null : Number(row.keyWindowMs),
    inquiryGapMs: row.inquiryGapMs === null ? null : Number(row.inquiryGapMs),
  }
}
