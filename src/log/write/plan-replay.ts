import type { PoolClient } from 'pg'
import { conditionsOf, type MessageFilter } from '../read/messages/filter.ts'
import { Parameters } from '../read/messages/parameters.ts'
import { causeOf, deadLetters } from '../read/read-details.ts'

export type PlanRequest = {
  filter: MessageFilter
  /** The filter as its caller gave it; kept for people. */
  given: unknown
  actor: string
  reason: string
}

/** `id` is decimal digits; `nothing` and `busy` left no plan. */
export type PlanAnswer =
  | { kind: 'planned'; id: string }
  /** No open dead letter meets the filter. */
  | { kind: 'nothing' }
  /** Another plan is being made: one at a time, because it may read much. */
  | { kind: 'busy' }

// Any fixed number: it only has to be the same for every instance.
const planLock = 7_233_841_911
const pieceIds = 1_000
const patternsMax = 100

/**
 * Freezes which open dead letters meet a filter, in one statement and so in one snapshot of the log, and counts them by what matters
 * for a decision. The ids stay in the database. Measured with 1 M dead letters on two cores that others used too: see
 * docs/decisions/0170-plan-in-one-statement.md.
 *
 * @param client a connection with no transaction open
 * @throws what pg throws; if the connection was lost, the plan may have been made all the same, and expires
 */
export async function planReplay(client: PoolClient, request: PlanRequest): Promise<PlanAnswer> {
  const { rows } = await client.query<{ plan: string }>('select begin_plan() as plan')
  const id = rows[0]?.plan
  if (id === undefined) throw new Error('begin_plan() answered no row')
  await client.query('begin')
  try {
    const kind = await freeze(client, id, request)
    await client.query(kind === 'planned' ? 'commit' : 'rollback')
    return kind === 'planned' ? { kind, id } : { kind }
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

async function freeze(client: PoolClient, id: string, request: PlanRequest): Promise<PlanAnswer['kind']> {
  const lock = await client.query<{ is_mine: boolean }>('select pg_try_advisory_xact_lock($1) as is_mine', [
    planLock,
  ])
  if (lock.rows[0]?.is_mine !== true) return 'busy'
  // Without statistics the planner would read the whole table of states. One plan is made at a time, so it may have some memory.
  await client.query(
    `select set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true), set_config('work_mem', '64MB', true)`,
  )
  const { text, values } = statementOf(id, request)
  const { rows } = await client.query<{ dead_letters: string }>(text, values)
  return rows[0]?.dead_letters === '0' ? 'nothing' : 'planned'
}

/**
 * The last event that made the message a dead letter says its cause; if one that expunged it came later, nothing can have followed but
 * decisions and records. No attempt came before its message, so the history of one that is younger than the window is not read (63 µs each).
 * A dead letter that a replay leaves out has its reason in `refusal`: it can never be sent, or an operator cancelled it and the filter does not
 * name that cause. What else a plan is to count apart is a column of `letters`.
 */
function statementOf(id: string, { filter, given, actor, reason }: PlanRequest) {
  const parameters = new Parameters()
  const plan = parameters.add(id, 'bigint')
  const asksForCancelled = filter.deadLetterCauses?.includes('cancelled') === true
  const text = `with newest as (
      select i.key_window_ms, transaction_timestamp() + i.lease_ms * interval '1 millisecond' as until from instances i order by i.started_at desc limit 1
    ),
    letters as materialized (
      select l.message_id, l.version, l.outcome_unknown, l.is_past, l.error_message, l.updated_at, l.cause, l.refusal, l.refusal is null as is_replayable,
        (case when l.refusal is null then l.nth_replayable else l.nth - l.nth_replayable end - 1) / ${pieceIds} as piece
      from (select k.*, row_number() over w as nth, count(*) filter (where k.refusal is null) over w as nth_replayable from (
        select s.message_id, s.version, s.outcome_unknown, s.error_message, s.updated_at, c.cause,
          s.outcome_unknown and coalesce((
            select key_window_ends_at(s.message_id, n.key_window_ms) < n.until from newest n
            where s.created_at + n.key_window_ms * interval '1 millisecond' < n.until
          ), false) as is_past,
          case when c.cause in ('rejected_record', 'conflicting_record') then c.cause when e.type = 'expunged' then 'expunged'
            ${asksForCancelled ? '' : `when c.cause = 'cancelled' then 'cancelled'`} end as refusal
        from message_states s
        cross join lateral (
          select d.type, d.reason from message_events d
          where d.message_id = s.message_id and (${deadLetters('d')} or d.type = 'expunged')
          order by d.version desc limit 1
        ) e
        cross join lateral (
          select case when e.type <> 'expunged' then ${causeOf('e')} else (
            select ${causeOf('d')} from message_events d where d.message_id = s.message_id and ${deadLetters('d')}
            order by d.version desc limit 1
          ) end as cause
        ) c
        where s.queue = 'dead_letter' and not exists (select from decided_messages k where k.message_id = s.message_id)
          and ${conditionsOf(filter, 'CREATED_DESC', 's', parameters)}
        order by s.message_id
      ) k window w as (order by k.message_id rows unbounded preceding)) l
    ),
    errors as materialized (
      select failure_shape(l.error_message) as shape, l.cause, l.refusal, count(*) as count, count(*) filter (where l.outcome_unknown) as outcome_unknown,
        count(*) filter (where l.is_past) as past_key_window, max(l.updated_at) as last_at, max(l.message_id) as example
      from letters l group by 1, l.cause, l.refusal
    ),
    patterns as (
      select coalesce(failure_pattern(e.shape), '') as key, sum(e.count)::bigint as count, max(e.last_at) as last_at,
        max(e.example) as example
      from errors e group by 1 order by 2 desc, 1 limit ${patternsMax}
    ),
    causes as (select e.cause as key, sum(e.count)::bigint as count from errors e group by 1),
    refusals as (select e.refusal as key, sum(e.count)::bigint as count from errors e where e.refusal is not null group by 1),
    facts as materialized (
      select coalesce(sum(e.count), 0)::bigint as dead_letters, coalesce(sum(e.outcome_unknown), 0)::bigint as outcome_unknown,
        coalesce(sum(e.past_key_window), 0)::bigint as past_key_window,
        (select coalesce(jsonb_agg(p order by p.count desc, p.key), '[]') from patterns p) as by_pattern,
        (select coalesce(jsonb_agg(c order by c.count desc, c.key), '[]') from causes c) as by_cause,
        (select coalesce(jsonb_agg(r order by r.count desc, r.key), '[]') from refusals r) as not_replayable
      from errors e
    ),
    frozen as materialized (
      select coalesce(sum(p.count), 0) as count from (
        select freeze_ids(in_plan => ${plan}, in_is_replayable => l.is_replayable, in_piece => l.piece::int,
          in_message_ids => array_agg(l.message_id), in_versions => array_agg(l.version)) as count
        from letters l group by l.is_replayable, l.piece
      ) p
    )
    select f.dead_letters, z.count as frozen, finish_plan(in_plan => ${plan}, in_actor => ${parameters.add(actor, 'text')},
      in_reason => ${parameters.add(reason, 'text')}, in_filter => ${parameters.add(JSON.stringify(given), 'jsonb')},
      in_dead_letters => f.dead_letters, in_outcome_unknown => f.outcome_unknown,
      in_past_key_window => f.past_key_window, in_by_pattern => f.by_pattern,
      in_by_cause => f.by_cause, in_not_replayable => f.not_replayable)
    from facts f cross join frozen z`
  return { text, values: parameters.values }
}
