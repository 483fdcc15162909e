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

/** What was seen of the log when the segment was read. */
export type Fence = {
  /** The snapshot, in PostgreSQL's notation. */
  readonly seen: string
  /** What this epoch adds to a transaction id, to make it a position in the log. */
  readonly base: string
}

// SQLSTATE: lock not available, deadlock detected.
const lockedOut = new Set(['55P03', '40P01'])

/** Reads the fence of the snapshot that the transaction reads. */
export async function readFence(client: pg.ClientBase): Promise<Fence> {
  const { rows } = await client.query<Fence>(
    `select pg_current_snapshot()::text as seen, base::text from log_epochs order by epoch desc limit 1`,
  )
  if (rows[0] === undefined) throw new Error('a fence is one row')
  return rows[0]
}

/**
 * Looks whether the segment is as it was when it was read, as far as transactions have ended by now.
 *
 * @returns what was seen by now; `changed` if an event was appended
 */
export async function moveFence(
  client: pg.ClientBase,
  { firstMessageId, nextMessageId }: Segment,
  { seen, base }: Fence,
): Promise<Fence | 'changed'> {
  // The function reads the snapshot of this statement.
  const { rows } = await client.query<{ changed: boolean; seen: string }>(
    'select segment_changed($1, $2, $3, $4) as changed, pg_current_snapshot()::text as seen',
    [firstMessageId, nextMessageId, seen, base],
  )
  return rows[0]?.changed === false ? { seen: rows[0].seen, base } : 'changed'
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
  { seen, base }: Fence,
  lockTimeoutMs: number,
  beforeCommit: () => void,
): Promise<'dropped' | 'busy' | 'changed'> {
  try {
    await inTransaction(client, async () => {
      const { rows } = await client.query<{ dropped: boolean }>(
        'select drop_segment($1, $2, $3, $4, $5, $6) as dropped',
        [
          JSON.stringify(columnsOf(row)),
          JSON.stringify(row.sums.rollups),
          JSON.stringify(row.sums.failures),
          seen,
          base,
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
