import type { Pool } from 'pg'
import type { DeadLetterCause, MessageId } from '../../message/message.ts'
import { rfc3339 } from './rfc3339.ts'
import type { FailureReason } from './rollups/read-failures.ts'

/** A plan's dead letters by something that they have in common. `count` is decimal digits. */
export type Counted<Key extends string> = { readonly key: Key; readonly count: string }

/** Why a dead letter of a plan cannot be replayed, or was skipped by a job. */
export type SkipReason =
  | 'rejected_record'
  | 'conflicting_record'
  | 'expunged'
  | 'cancelled'
  | 'archived'
  | 'replayed'
  | 'succeeded'
  | 'resolved'
  | 'key_window_passed'

/** What was planned: open dead letters, as they were in one snapshot. Counts are decimal digits, times RFC 3339. */
export type ReplayPlan = {
  readonly id: string
  readonly actor: string
  readonly reason: string
  readonly count: string
  readonly outcomeUnknown: string
  /** Of those, the ones whose key the processor may have forgotten: a replay skips them unless it is confirmed. */
  readonly pastKeyWindow: string
  readonly byPattern: readonly FailureReason[]
  readonly byCause: readonly Counted<DeadLetterCause>[]
  /** Those that a replay leaves out, by why: they can never be sent, or were cancelled. A resolution resolves them too. */
  readonly notReplayable: readonly Counted<SkipReason>[]
  readonly plannedAt: string
  readonly expiresAt: string
}

/** Reads a plan; null if there is none of this number, or it has expired. */
export async function readPlan(database: Pick<Pool, 'query'>, id: string): Promise<ReplayPlan | null> {
  const { rows } = await database.query<Row>({
    name: 'read_plan',
    text: `select p.plan as id, p.actor, p.reason, p.dead_letters as count, p.outcome_unknown as "outcomeUnknown",
        p.past_key_window as "pastKeyWindow",
        (select coalesce(jsonb_agg(jsonb_build_object('pattern', r.key, 'count', r.count::text,
          'lastAt', ${rfc3339('r.last_at')}, 'examples', jsonb_build_array(r.example::text))), '[]')
          from jsonb_to_recordset(p.by_pattern) as r (key text, count bigint, last_at timestamptz, example bigint)) as "byPattern",
        (select coalesce(jsonb_agg(jsonb_build_object('key', r.key, 'count', r.count::text)), '[]')
          from jsonb_to_recordset(p.by_cause) as r (key text, count bigint)) as "byCause",
        (select coalesce(jsonb_agg(jsonb_build_object('key', r.key, 'count', r.count::text)), '[]')
          from jsonb_to_recordset(p.not_replayable) as r (key text, count bigint)) as "notReplayable",
        ${rfc3339('p.planned_at')} as "plannedAt", ${rfc3339('p.expires_at')} as "expiresAt"
      from replay_plans p where p.plan = $1`,
    values: [id],
  })
  return rows[0] ?? null
}

type Row = ReplayPlan & { readonly byPattern: readonly (FailureReason & { examples: MessageId[] })[] }

/** How many of a plan's dead letters a replay would send. */
export function countReplayable({ count, notReplayable }: ReplayPlan): bigint {
  return notReplayable.reduce((rest, each) => rest - BigInt(each.count), BigInt(count))
}
