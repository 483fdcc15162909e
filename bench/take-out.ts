import type pg from 'pg'

/** What can be taken out of the functions on the path of a message, to see what it costs. */
export const takeable = ['guard', 'doubt'] as const
export type Takeable = (typeof takeable)[number]

type Cut = { text: string; by: string }

/** By function, the texts of it that are there for the sake of the part, and what stands there without it. */
const cuts: Record<Takeable, Record<string, readonly Cut[]>> = {
  // The guard and the pace while the destination flows and every payment succeeds.
  guard: {
    ingest: [
      { text: `target := enter_destination('default');`, by: '' },
      {
        text: `room := case when target.state = 'flowing' and target.rate_limit is null and target.throttled_at is null then in_room else 0 end;`,
        by: 'room := in_room;',
      },
    ],
    settle_attempts: [
      {
        text: `target destinations := enter_destination('default');\n  spares boolean := target.state <> 'flowing';`,
        by: '',
      },
      { text: `if target.state = 'ramping' and in_verdicts is not null then`, by: 'if false then' },
      {
        text: `left join destination_decisions d on d.destination = target.destination and d.decision = target.state_decision;`,
        by: 'left join destination_decisions d on false;',
      },
      { text: `i.spared_delay_ms, w.is_spared,`, by: 'i.spared_delay_ms,' },
      {
        text: `case when w.is_spared then coalesce(i.delay_ms, i.spared_delay_ms) else i.delay_ms end as delay_ms,`,
        by: 'i.delay_ms,',
      },
      {
        text: `    cross join lateral (
      select spares and i.outcome not in ('accepted', 'refused') and (i.delay_ms is not null or i.spared_delay_ms is not null) as is_spared
    ) w
`,
        by: '',
      },
      { text: 'when i.is_spared or i.delay_ms is null', by: 'when i.delay_ms is null' },
      { text: `case when i.is_spared then 'spared' else 'appended' end`, by: `'appended'` },
      {
        text: `if (in_verdicts is not null or target.state <> 'flowing' or target.failures > 0 or target.refusals > 0)
      and exists (select from unnest(answers) as a(answer) where a.answer <> 'already') then
    perform note_verdicts(target.destination, in_message_ids, in_attempts, verdicts, in_reasons);
  end if;`,
        by: '',
      },
    ],
  },
  // The look at what was once unknown, where attempts are claimed.
  doubt: {
    claim: [
      {
        text: '(in_key_window_ms is not null or in_inquires) and exists (select from unnest(due) d where d.outcome_unknown)',
        by: 'false',
      },
    ],
  },
}

/** @throws a sentence if a function is not as this file knows it */
export async function takeOut(session: pg.Pool, part: Takeable): Promise<void> {
  for (const [name, each] of Object.entries(cuts[part])) {
    const { rows } = await session.query<{ source: string }>(
      'select pg_get_functiondef($1::regproc) as source',
      [name],
    )
    const source = rows[0]?.source ?? ''
    const shorter = each.reduce((text, cut) => {
      if (!text.includes(cut.text))
        throw new Error(`The function ${name} has changed: bring bench/take-out.ts up to it (${cut.text}).`)
      return text.replaceAll(cut.text, cut.by)
    }, source)
    await session.query(shorter)
  }
}
