/** What events of a minute are counted as; see the table `rollups`. */
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

/** Whole minutes in RFC 3339, from the first one to the last, both included, and how many they are. */
export type Minutes = { readonly first: string; readonly last: string; readonly count: number }
