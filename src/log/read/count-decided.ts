import type { Pool } from 'pg'

/** What waits for an operator. Of the dead letters those that are in the database: what is archived can be resolved no more. */
export type DecidedCounts = {
  readonly openDeadLetters: number
  readonly resolvedDeadLetters: number
  readonly onHold: number
}

/** Counts dead letters, open and resolved apart, and messages on hold: exactly, in one snapshot. */
export async function countDecided(database: Pick<Pool, 'query'>): Promise<DecidedCounts> {
  const { rows } = await database.query<{
    open_dead_letters: string
    resolved_dead_letters: string
    on_hold: string
  }>({
    name: 'decision_counts',
    text: 'select open_dead_letters, resolved_dead_letters, on_hold from decision_counts()',
  })
  const [row] = rows
  if (row === undefined) throw new Error('decision_counts() answered no row')
  return {
    openDeadLetters: Number(row.open_dead_letters),
    resolvedDeadLetters: Number(row.resolved_dead_letters),
    onHold: Number(row.on_hold),
  }
}
