/** The measures that count the events of a minute; see the table `rollups` in migrations/0001_log.sql. */
export const countMeasures = [
  'received',
  'attempts',
  'succeeded',
  'dead_lettered',
  'replayed',
  'abandoned',
  'duplicates',
  'conflicts',
  'rejected',
  'refused',
  'unavailable',
  'not_sent',
  'unknown',
] as const

export type CountMeasure = (typeof countMeasures)[number]

/** Whole minutes in RFC 3339, from the first to the last, both included, and their number. */
export type Minutes = { readonly first: string; readonly last: string; readonly count: number }
