import type pg from 'pg'
import type { Acknowledgements } from './acknowledgements.ts'
import type { Archives } from './archives.ts'
import { checkActors } from './check-actors.ts'
import type { Records } from './records.ts'
import type { Rollups } from './rollups.ts'
import { copyRows } from './copy-rows.ts'
import type { LogEvent } from './event.ts'
import { namedMax, type Invariants } from './invariants.ts'
import { newMessage } from './message.ts'
import type { FindActor } from './settings.ts'

type Checks = {
  readonly invariants: Invariants
  readonly findActor: FindActor
  readonly records: Records
  readonly rollups: Rollups
  readonly acknowledgements: Acknowledgements | null
}

/**
 * S2, S13, S14: checks the records that came again after their message was archived. Each accounts for an offset, as a duplicate's
 * event does.
 */
export async function checkArchivedDuplicates(
  client: pg.Client,
  archives: Archives,
  checks: Checks,
): Promise<void> {
  const { invariants, findActor } = checks
  const { S2, S13 } = invariants
  const select = `select d.message_id, d.recorded_at, d.actor, d.topic, d.partition, d.kafka_offset, d.incarnation, d.payload_sha256,
      i.transaction_id, i.payload_sha256 = d.payload_sha256
    from archived_duplicates d left join inbox i on i.message_id = d.message_id
    order by d.topic, d.partition, d.incarnation, d.kafka_offset`
  await copyRows(client, select, (row) => {
    const event: LogEvent = {
      messageId: row.integer(),
      // Not the first: it begins no message.
      version: 2,
      position: 0,
      recordedAt: row.micros(),
      type: 'duplicate_received',
      actor: row.text(),
      status: 'success',
      retryCount: 0,
      dueAt: null,
      attempt: null,
      outcome: null,
      durationMs: null,
      reason: null,
      resolution: null,
      isConfirmed: false,
      inquiry: null,
      reference: null,
      requestKey: null,
      topic: row.text(),
      partition: row.integer(),
      offset: row.integer(),
      incarnation: row.integer(),
      payloadSha256: row.hexOrNull(),
      transactionId: row.textOrNull(),
      relatedMessageId: null,
    }
    const message = newMessage(event)
    const name = event.transactionId ?? `message ${event.messageId}`
    checks.records.check(message, event)
    checks.rollups.add(message, event)
    checks.acknowledgements?.check(event)
    checkActors(message, event, findActor, invariants)
    S13.checked++
    if (row.booleanOrNull() !== true)
      S13.differ(name, null, 'a duplicate of an archived message has other bytes')
    if (archives.find(event.messageId) === undefined)
      S2.differ(
        name,
        null,
        `offset ${event.offset} is kept as a duplicate of an archived message, which is not archived`,
      )
  })
}

/** S2: the inbox has one identity for each archived message. */
export async function checkArchivedIdentities(
  client: pg.Client,
  archives: Archives,
  { S2 }: Invariants,
): Promise<void> {
  for (const { name, messages, firstMessageId, nextMessageId } of archives.all) {
    const { rows } = await client.query<{ n: string }>(
      'select count(*) as n from inbox where message_id >= $1 and message_id < $2',
      [firstMessageId, nextMessageId],
    )
    const known = Number(rows[0]?.n)
    if (known !== messages)
      S2.differ(`archive ${name}`, null, `the inbox has ${known} identities for its ${messages} messages`)
  }
}

const batchMax = 5_000

/** S2: holds the identities of archived messages against the inbox, some thousand at a time. */
export class ArchivedInbox {
  readonly #client: pg.Client
  readonly #invariants: Invariants
  #ids: number[] = []
  #names: (string | null)[] = []
  #hashes: (string | null)[] = []

  constructor(client: pg.Client, invariants: Invariants) {
    this.#client = client
    this.#invariants = invariants
  }

  /** Call it for every event. */
  add({ messageId, version, transactionId, payloadSha256 }: LogEvent): void {
    if (version !== 1) return
    this.#ids.push(messageId)
    this.#names.push(transactionId)
    this.#hashes.push(payloadSha256)
  }

  get isFull(): boolean {
    return this.#ids.length >= batchMax
  }

  async check(): Promise<void> {
    const { S2 } = this.#invariants
    const { rows } = await this.#client.query<{ name: string | null; message_id: string; differ: string }>(
      `select u.name, u.message_id, count(*) over () as differ
        from unnest($1::bigint[], $2::text[], $3::text[]) as u(message_id, name, hash)
        left join inbox i on i.transaction_id = u.name collate "C"
        where (i.message_id, encode(i.payload_sha256, 'hex')) is distinct from (u.message_id, u.hash)
        limit ${namedMax}`,
      [this.#ids, this.#names, this.#hashes],
    )
    for (const { name, message_id } of rows)
      S2.differ(name ?? `message ${message_id}`, 1, 'the inbox does not know it as its archive does')
    S2.differMore(Number(rows[0]?.differ ?? 0) - rows.length)
    this.#ids = []
    this.#names = []
    this.#hashes = []
  }
}
