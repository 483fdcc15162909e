/** A slice before its records are decoded. Every offset in [first, next) is a record or is in a hole. */
export type Cut<Item> = { first: bigint; next: bigint; items: Item[]; holes: Hole[] }
type Hole = { first: bigint; next: bigint }

// Two slices fit into a lane of 500 attempts, so that one is stored while the other is delivered. Half the
// size costs 10 µs a message more; with twice the size one side waits for the other. The byte limit bounds
// the size of a statement.
export const sliceItemsMax = 250
export const sliceBytesMax = 4 * 1024 * 1024

/**
 * Cuts [first, next) of a partition into slices of at most 250 records and 4 MiB. A larger record gets a slice
 * of its own. Offsets between the records are holes: Kafka handed over what is on both sides of them, so they
 * held control batches, or compaction removed their records.
 *
 * @param items in the order of their offsets, all within [first, next); if there are none, the whole range is
 *   a hole
 * @param bytesOf the number of bytes that an item adds to a statement
 */
export function* cutSlices<Item extends { offset: string }>(
  items: readonly Item[],
  first: bigint,
  next: bigint,
  bytesOf: (item: Item) => number,
): Generator<Cut<Item>> {
  let cut: Cut<Item> = { first, next: first, items: [], holes: [] }
  let bytes = 0
  for (const item of items) {
    const size = bytesOf(item)
    if (cut.items.length === sliceItemsMax || (cut.items.length > 0 && bytes + size > sliceBytesMax)) {
      yield cut
      cut = { first: cut.next, next: cut.next, items: [], holes: [] }
      bytes = 0
    }
    const offset = BigInt(item.offset)
    advance(cut, offset)
    cut.items.push(item)
    cut.next = offset + 1n
    bytes += size
  }
  advance(cut, next)
  yield cut
}

function advance(cut: Cut<unknown>, to: bigint): void {
  if (to > cut.next) cut.holes.push({ first: cut.next, next: to })
  cut.next = to
}
