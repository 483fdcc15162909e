/** A part of a batch that is stored in one transaction: every offset in [from, next) is a record or lies in a hole. */
export type Cut<Item> = { from: bigint; next: bigint; items: Item[]; holes: Hole[] }
type Hole = { from: bigint; next: bigint }

// Two of them fit into a lane of 500, so that one is stored while the other is delivered. Half of it costs 10 µs a message more,
// twice as much leaves one side waiting for the other. The bytes bound what a statement carries.
export const sliceItemsMax = 250
export const sliceBytesMax = 4 * 1024 * 1024

/**
 * Cuts [from, next) of a partition into parts of at most 250 records and 4 MiB; a larger record comes alone. Offsets between
 * the records are holes: Kafka handed over what lies on both sides, so control batches or compaction left nothing there.
 *
 * @param items in the order of their offsets, all within [from, next); with none, all of it is a hole
 * @param bytesOf how much an item adds to a statement
 */
export function* cutSlices<Item extends { offset: string }>(
  items: readonly Item[],
  from: bigint,
  next: bigint,
  bytesOf: (item: Item) => number,
): Generator<Cut<Item>> {
  let cut: Cut<Item> = { from, next: from, items: [], holes: [] }
  let bytes = 0
  for (const item of items) {
    const size = bytesOf(item)
    if (cut.items.length === sliceItemsMax || (cut.items.length > 0 && bytes + size > sliceBytesMax)) {
      yield cut
      cut = { from: cut.next, next: cut.next, items: [], holes: [] }
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
  if (to > cut.next) cut.holes.push({ from: cut.next, next: to })
  cut.next = to
}
