import type pg from 'pg'
import { isRecordEvent, type LogEvent, type StoredRecord } from './event.ts'
import { namedMax, type Invariants } from './invariants.ts'
import { nameOf, type Message } from './message.ts'

/** How many bytes are kept at most of a value that is over the limit. */
const cutBytesMax = 64 * 1024

/** S13: checks the bytes that are kept for a record event. Call it after the event is folded into its message. */
export function checkPayload(
  message: Message,
  event: LogEvent,
  record: StoredRecord | null,
  { S13 }: Invariants,
): void {
  if (isRecordEvent(event)) {
    S13.checked++
    const fault = record === null ? 'nothing of its record is kept' : findFault(message, event, record)
    if (fault !== null) S13.differ(nameOf(message), event.version, fault)
    if (event.version === 1) message.payloadBytes = record?.bytes ?? null
    if (record?.state === 'expunged') message.expungedRecord ??= event.version
    else if (record !== null) message.keptRecord ??= event.version
  } else if (record !== null) {
    S13.differ(nameOf(message), event.version, `a record is kept for ${event.type}`)
  } else if (event.type === 'conflict_received' && event.payloadSha256 === message.payloadSha256) {
    S13.differ(nameOf(message), event.version, 'a conflicting record has the same hash')
  }
}

/**
 * S13: checks that the records of a message are expunged if the log says so, and only then. Call it when all events of the message
 * were read: the event that expunges a record comes after it.
 */
export function checkExpunged(message: Message, { S13 }: Invariants): void {
  const { expungedAt, expungedRecord, keptRecord } = message
  if (expungedAt === null && expungedRecord !== null)
    S13.differ(nameOf(message), expungedRecord, 'is expunged, but no event says so')
  if (expungedAt !== null && keptRecord !== null)
    S13.differ(nameOf(message), keptRecord, `was expunged at version ${expungedAt}, but its record is kept`)
}

/** S13: finds kept records that belong to no event. */
export async function checkStrayRecords(client: pg.Client, { S13 }: Invariants): Promise<void> {
  const { rows } = await client.query<{ message_id: string; version: number; strays: string }>(`
    select r.message_id, r.version, count(*) over () as strays
    from records r
    where not exists (select from message_events e where e.message_id = r.message_id and e.version = r.version)
    limit ${namedMax}`)
  for (const row of rows)
    S13.differ(`message ${row.message_id}`, row.version, 'bytes are kept, but there is no event for them')
  S13.differMore(Number(rows[0]?.strays ?? 0) - rows.length)
}

function findFault(message: Message, event: LogEvent, record: StoredRecord): string | null {
  if (event.payloadSha256 === null) return 'the event has no hash'
  switch (record.state) {
    case 'whole':
      if (record.hashes !== true) return 'the bytes kept do not have the hash in the event'
      return record.keptBytes === record.bytes
        ? null
        : `${record.keptBytes} of ${record.bytes} bytes are kept`
    case 'cut':
      if (event.type !== 'rejected') return `cut, although it is ${event.type}`
      return record.keptBytes !== null && record.keptBytes <= cutBytesMax && record.keptBytes < record.bytes
        ? null
        : `cut to ${record.keptBytes} bytes of ${record.bytes}`
    case 'absent':
      if (event.type !== 'rejected') return `no bytes are kept, although it is ${event.type}`
      return record.keptBytes === null ? null : `${record.keptBytes} bytes are kept of an absent value`
    case 'same':
      if (event.type !== 'duplicate_received') return `not kept as a duplicate, although it is ${event.type}`
      return event.payloadSha256 === message.payloadSha256 && record.bytes === message.payloadBytes
        ? null
        : 'a duplicate differs from the bytes received first'
    case 'expunged':
      if (record.keptBytes !== null || record.hasEnvelope) return 'is expunged, but something of it is kept'
      if (event.type !== 'duplicate_received') return null
      return event.payloadSha256 === message.payloadSha256 && record.bytes === message.payloadBytes
        ? null
        : 'a duplicate differs from the bytes received first'
  }
}
