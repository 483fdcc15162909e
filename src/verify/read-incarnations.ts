import type pg from 'pg'
import { copyRows } from './copy-rows.ts'
import { namePartition } from './name-partition.ts'
import type { Span } from './spans.ts'

/** One incarnation of a partition, according to the tables of the log. */
export type Incarnation = {
  readonly topic: string
  readonly partition: number
  /** Where an operator let it begin; null if its first advance says where. */
  readonly beginsAt: number | null
  readonly holes: Span[]
  readonly gaps: Gap[]
}

/** Offsets that an operator gave up. */
export type Gap = Span & { readonly actor: string; readonly reason: string }

/** Reads every incarnation, by its name. Those of a partition are in order, and so are the holes and gaps of each. */
export async function readIncarnations(client: pg.Client): Promise<Map<string, Incarnation>> {
  const found = new Map<string, Incarnation>()
  const partitions = `select topic, partition, incarnation, begins_at from partitions order by topic, partition, incarnation`
  await copyRows(client, partitions, (row) => {
    const [topic, partition] = [row.text(), row.integer()]
    const name = namePartition(topic, partition, row.integer())
    found.set(name, { topic, partition, beginsAt: row.integerOrNull(), holes: [], gaps: [] })
  })
  const holes = `select p.topic, p.partition, p.incarnation, h.first_offset, h.next_offset
    from partition_holes h join partitions p on p.partition_id = h.partition_id
    order by h.partition_id, h.first_offset, h.next_offset`
  await copyRows(client, holes, (row) => {
    const of = found.get(namePartition(row.text(), row.integer(), row.integer()))
    of?.holes.push({ first: row.integer(), next: row.integer() })
  })
  const gaps = `select p.topic, p.partition, p.incarnation, d.next_offset, d.resume_offset, d.actor, d.reason
    from partition_decisions d join partitions p on p.partition_id = d.partition_id
    where d.type = 'gap_accepted' order by d.partition_id, d.next_offset`
  await copyRows(client, gaps, (row) => {
    const of = found.get(namePartition(row.text(), row.integer(), row.integer()))
    of?.gaps.push({ first: row.integer(), next: row.integer(), actor: row.text(), reason: row.text() })
  })
  return found
}
