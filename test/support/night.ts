import type { Test } from 'tap'
import type { Line } from './line.ts'
import { until } from './until.ts'

/** The whole schedule of retries takes two and a half seconds, and a probe follows every 0.3 s at first. */
export const night = {
  BASE_DELAY: '0.1',
  MAX_DELAY: '1',
  MAX_RETRIES: '5',
  MAX_CONCURRENT: '20',
  MAX_CONCURRENT_RETRIES: '20',
  PROBE_EVERY: '0.3',
}

type Decision = { state: string; cause: string; actor: string; reason: string }

export async function decisionsOf(line: Line): Promise<Decision[]> {
  const { rows } = await line.pool.query<Decision>(
    'select state, cause, actor, reason from destination_decisions order by decision',
  )
  return rows
}

export async function stateOf(line: Line): Promise<string> {
  const { rows } = await line.pool.query<{ state: string }>('select state from destinations')
  return rows[0]?.state ?? ''
}

export const untilState = (line: Line, ...states: string[]) =>
  until(`the destination to be ${states.join(' or ')}`, async () => states.includes(await stateOf(line)))

/** The attempts that were open when the first hold was decided, the failures that led to it, and the probes of all holds. */
export async function boundOfFailures(line: Line): Promise<number> {
  const { rows } = await line.pool.query<{ n: number }>(
    `with d as (
       select state, position, lead(position, 1, 9223372036854775807) over (order by decision) as next from destination_decisions
     )
     select count(*)::int as n from message_events e
     where e.type = 'attempt_started' and (
       exists (select from d where d.state = 'held' and e.position > d.position and e.position < d.next)
       or e.position < (select min(position) from d)
         and not exists (
           select from message_events s where s.message_id = e.message_id and s.attempt = e.attempt and s.type = 'succeeded'
         )
     )`,
  )
  return rows[0]!.n
}

export async function isDelivered(t: Test, line: Line, count: number): Promise<void> {
  t.match(await line.settled(count, 180_000), { success: count, dead_letter: 0 })
  t.equal((await line.ledger()).filter(({ effect }) => effect).length, count, 'each has one effect')
  await line.isClean(t)
}
