import type pg from 'pg'

/** A segment that is in the database. Ids are whole numbers below 2⁵³. */
export type Segment = {
  readonly segment: number
  readonly firstMessageId: number
  /** The first id that is not of this segment. */
  readonly nextMessageId: number
}

export type SegmentStanding = Segment & {
  /** New messages may still get ids of this segment: it is the present one, or lies ahead. */
  readonly isNeeded: boolean
  /** How many messages are not terminal, and the lowest id of those. */
  readonly open: number
  readonly oldestOpen: number | null
  /**
   * When its last event was recorded; null if it has no messages. Of a segment that is too young, when its newest message had its last
   * event, which may be earlier.
   */
  readonly lastRecordedAt: Date | null
}

/**
 * Lists the segments that are not archived, the oldest first, with what decides whether they can be.
 *
 * @param before only segments whose last event is older can be
 */
export async function listSegments(
  database: Pick<pg.ClientBase, 'query'>,
  before: Date,
): Promise<SegmentStanding[]> {
  const { rows } = await database.query<Row>(`
    select s.segment, s.first_message_id, s.next_message_id,
      s.next_message_id > (select case when m.is_called then m.last_value else m.last_value - 1 end from message_ids m) as is_needed
    from log_segments s
    where not exists (select from segment_archives a where a.segment = s.segment)
    order by s.segment`)
  const found: SegmentStanding[] = []
  for (const row of rows) {
    const segment = {
      segment: row.segment,
      firstMessageId: Number(row.first_message_id),
      nextMessageId: Number(row.next_message_id),
      isNeeded: row.is_needed,
    }
    // A segment that is needed stays, whatever is in it.
    found.push({ ...segment, ...(row.is_needed ? nothing : await readContent(database, segment, before)) })
  }
  return found
}

const nothing = { open: 0, oldestOpen: null, lastRecordedAt: null } as const

/** The newest message shows of nearly every segment that it is too young, by one row of an index. Only an old one is read whole. */
async function readContent(database: Pick<pg.ClientBase, 'query'>, segment: Segment, before: Date) {
  const { rows } = await database.query<{ recorded_at: Date }>(
    `select s.recorded_at from message_states s where s.message_id >= $1 and s.message_id < $2
     order by s.message_id desc limit 1`,
    [segment.firstMessageId, segment.nextMessageId],
  )
  const [newest] = rows
  if (newest === undefined) return nothing
  if (newest.recorded_at >= before) return { ...nothing, lastRecordedAt: newest.recorded_at }
  return readWhole(database, segment)
}

async function readWhole(database: Pick<pg.ClientBase, 'query'>, { firstMessageId, nextMessageId }: Segment) {
  const { rows } = await database.query<Content>(
    `select count(*) filter (where s.status not in ('success', 'dead_letter')) as open,
       min(s.message_id) filter (where s.status not in ('success', 'dead_letter')) as oldest_open,
       max(s.recorded_at) as last_recorded_at
     from message_states s where s.message_id >= $1 and s.message_id < $2`,
    [firstMessageId, nextMessageId],
  )
  const [row] = rows
  if (row === undefined) throw new Error('what is in a segment is one row')
  return {
    open: Number(row.open),
    oldestOpen: row.oldest_open === null ? null : Number(row.oldest_open),
    lastRecordedAt: row.last_recorded_at,
  }
}

type Row = { segment: number; first_message_id: string; next_message_id: string; is_needed: boolean }
type Content = { open: string; oldest_open: string | null; last_recorded_at: Date | null }
