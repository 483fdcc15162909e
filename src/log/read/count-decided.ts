import type { Pool } from 'pg'
import { deadLetterCauses, type DeadLetterCause } from '../../message/message.ts'

/** What waits for an operator. Of the dead letters those that are in the database: what is archived can be resolved no more. */
export type DecidedCounts = {
  readonly openDeadLetters: number
  /** Each cause has its number, 0 where there are none. */
  readonly openByCause: ReadonlyMap<DeadLetterCause, number>
  readonly resolvedDeadLetters: number
  readonly onHold: number
}

const statement = {
  name: 'decision_counts',
  text: `select c.open_dead_letters, c.resolved_dead_letters, c.on_hold,
      (select coalesce(json_object_agg(l.cause, l.n), '{}') from open_letters() l) as by_cause
    from decision_counts() c`,
}

type Row = {
  open_dead_letters: string
  resolved_dead_letters: string
  on_hold: string
  by_cause: Partial<Record<DeadLetterCause, number>>
}

/** Counts dead letters, open and resolved apart, and messages on hold: exactly, in one snapshot, without scanning the messages. */
export async function countDecided(database: Pick<Pool, 'query'>): Promise<DecidedCounts> {
  const { rows } = await database.query<Row>(statement)
  const [row] = rows
  if (row === undefined) throw new Error('decision_counts() answered no row')
  return {
    openDeadLetters: Number(row.open_dead_letters),
    openByCause: new Map(deadLetterCauses.map((cause) => [cause, row.by_cause[cause] ?? 0])),
    resolvedDeadLetters: Number(row.resolved_dead_letters),
    onHold: Number(row.on_hold),
  }
}
