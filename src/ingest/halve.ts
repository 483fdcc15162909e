import type { Slice } from '../log/write/ingest.ts'

/** Two slices in place of one of at least two records, to find the record that fails the statement. */
export function halve(slice: Slice): [Slice, Slice] {
  const middle = slice.records.length >> 1
  const boundary = slice.records[middle]?.offset
  if (boundary === undefined || middle === 0) throw new RangeError('A slice of one record has no halves')
  // A hole lies between two records, so the boundary, which is a record, never cuts one.
  return [
    {
      ...slice,
      next: boundary,
      records: slice.records.slice(0, middle),
      holes: slice.holes.filter((hole) => hole.from < boundary),
    },
    {
      ...slice,
      from: boundary,
      records: slice.records.slice(middle),
      holes: slice.holes.filter((hole) => hole.from >= boundary),
    },
  ]
}
