import pg from 'pg'
import { inTransaction } from '../../runtime/in-transaction.ts'
import type { SegmentCounts, SegmentSums } from './count-segment.ts'
import type { Segment } from './list-segments.ts'

/** The archive of a segment, as the log remembers it. */
export type ArchiveRow = {
  readonly segment: Segment
  readonly name: string
  /** Of the manifest, in hexadecimal digits. */
  readonly manifestSha256: string
  readonly counts: SegmentCounts
  readonly sums: SegmentSums
  readonly actor: string
  readonly reason: string
}

/** The places in the log between which somebody may have appended to a segment while it was read. */
export type Fence = {
  /** Below this position everything was seen when the segment was read. */
  readonly from: string
  /** Transactions that were open then, and may have taken ids of the segment, have positions below this one. */
  readonly until: string
}

// SQLSTATE: lock not available, deadlock detected.
const lockedOut = new Set(['55P03', '40P01'])

/** Reads the fence of the snapshot that the transaction reads. */
export async function readFence(client: pg.ClientBase): Promise<Fence> {
  const { rows } = await client.query<Fence>(
    `select watermark() as from, pg_snapshot_xmax(pg_current_snapshot())::text::bigint
       + (select base from log_epochs order by epoch desc limit 1) as until`,
  )
  if (rows[0] === undefined) throw new Error('a fence is one row')
  return rows[0]
}

/**
 * Looks whether the segment is as it was when it was read, up to a position that it answers.
 *
 * @returns `open` while a transaction is open that was open then; `changed` if an event was appended; else the position from which
 * on nobody has looked yet
 */
export async function checkFence(
  client: pg.ClientBase,
  { firstMessageId, nextMessageId }: Segment,
  { from, until }: Fence,
): Promise<'open' | 'changed' | { checked: string }> {
  const { rows } = await client.query<{ reached: string; is_settled: boolean }>(
    'select w.reached, w.reached >= $1 as is_settled from watermark() w(reached)',
    [until],
  )
  const [{ reached, is_settled } = { reached: '', is_settled: false }] = rows
  if (!is_settled) return 'open'
  // A statement of its own: its snapshot is later, so everything below that watermark is seen.
  const changed = await client.query<{ changed: boolean }>(
    'select segment_changed($1, $2, $3, $4) as changed',
    [firstMessageId, nextMessageId, from, reached],
  )
  return changed.rows[0]?.changed === false ? { checked: reached } : 'changed'
}

class Changed extends Error {}

/**
 * Detaches and drops a segment, and remembers its archive, in one transaction (the SQL function drop_segment).
 *
 * @param beforeCommit a failpoint's place
 * @returns `busy` if the lock was not given within `lockTimeoutMs`; `changed` if an event was appended to the segment. Nothing has
 * changed then.
 */
export async function dropSegment(
  client: pg.Client,
  row: ArchiveRow,
  checked: string,
  lockTimeoutMs: number,
  beforeCommit: () => void,
): Promise<'dropped' | 'busy' | 'changed'> {
  try {
    await inTransaction(client, async () => {
      const { rows } = await client.query<{ dropped: boolean }>(
        'select drop_segment($1, $2, $3, $4, $5) as dropped',
        [
          JSON.stringify({ ...columnsOf(row), has_decisions: true }),
          JSON.stringify(row.sums.rollups),
          JSON.stringify(row.sums.failures),
          checked,
          lockTimeoutMs,
        ],
      )
      if (rows[0]?.dropped !== true) throw new Changed()
      beforeCommit()
    })
    return 'dropped'
  } catch (error) {
    if (error instanceof Changed) return 'changed'
    if (error instanceof pg.DatabaseError && lockedOut.has(error.code ?? '')) return 'busy'
    throw error
  }
}

function columnsOf({ segment, name, manifestSha256, counts, actor, reason }: ArchiveRow) {
  const { messages, events, records, ...span } = counts
  return {
    segment: segment.segment,
    first_message_id: segment.firstMessageId,
    next_message_id: segment.nextMessageId,
    name,
    manifest_sha256: `\\x${manifestSha256}`,
    messages: messages.success + messages.dead_letter,
    events: Object.values(events).reduce((sum, each) => sum + each, 0),
    success: messages.success,
    dead_letter: messages.dead_letter,
    ...records,
    ...span,
    actor,
    reason,
  }
}

/**
 * Names the sessions that hold the log's tables, or the segment's partitions, and have done so for longest: a dump, the checker, a
 * vacuum, somebody's open transaction.
 */
export async function nameHolders(client: pg.ClientBase, { segment }: Segment): Promise<string[]> {
  const { rows } = await client.query<{ pid: number; application: string; seconds: string }>(
    `
    with logged(relation) as (values ('message_events'::regclass), ('records'::regclass), ('message_states'::regclass)),
    held as (
      select relation::oid from logged
      union all
      select i.inhrelid from logged l join pg_inherits i on i.inhparent = l.relation
      where i.inhrelid = to_regclass(format('%s_s%s', l.relation, $1::int))
    )
    select a.pid, coalesce(nullif(a.application_name, ''), a.backend_type) as application,
      floor(extract(epoch from clock_timestamp() - min(a.xact_start))) as seconds
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.relation in (select relation from held) and l.granted and a.datname = current_database()
      and a.pid <> pg_backend_pid() and a.xact_start < clock_timestamp() - interval '1 second'
    group by 1, 2 order by 3 desc limit 3`,
    [segment],
  )
  return rows.map(({ pid, application, seconds }) => `process ${pid} (${application}), open for ${seconds} s`)
}
