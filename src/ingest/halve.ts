import type { Slice } from '../log/write/ingest.ts'

/** Splits a slice of at least two records into two, to find the record that fails the statement. */
export function halve(slice: Slice): [Slice, Slice] {
  const middle = slice.records.length >> 1
  const boundary = slice.records[middle]?.offset
  if (boundary === undefined || middle === 0) throw new RangeError('A slice of one record cannot be split')
  // A hole is between two records and the boundary is a record, so the boundary never cuts a hole.
  return [
    {
      ...slice,
      next: boundary,
      records: slice.records.slice(0, middle),
      holes: slice.holes.filter((hole) => hole.first < boundary),
    },
    {
      ...slice,
      first: boundary,
      records: slice.records.slice(middle),
      holes: slice.holes.filter((hole) => hole.first >= boundary),
    },
  ]
}
