import type pg from 'pg'
import { doubled } from './doubled.ts'
import { digest, encodeKey, knownKeys } from './idempotency-key.ts'
import { namedMax, type Invariants } from './invariants.ts'
import type { Message } from './message.ts'

/**
 * S8, and the part of S2 that an identity has one message. It keeps the first 64 bits of each identity's digest: 8 bytes a
 * message. If two are the same, it looks both messages up before it reports a difference.
 */
export class Identities {
  readonly #invariants: Invariants
  #prefixes = new BigUint64Array(1024)
  #count = 0

  constructor(invariants: Invariants) {
    this.#invariants = invariants
  }

  /** Call it once for each message. Returns the digest of its identity; null if it has none. */
  add(message: Message): Buffer | null {
    this.#invariants.S8.checked++
    if (message.transactionId === null) return null
    const identity = digest(message.transactionId)
    if (this.#count === this.#prefixes.length) this.#prefixes = doubled(this.#prefixes)
    this.#prefixes[this.#count++] = identity.readBigUInt64BE()
    return identity
  }

  /** Call it when the whole log was read. */
  async finish(client: pg.Client): Promise<void> {
    this.#checkRecipe()
    const shared = this.#findShared()
    if (shared.length > 0) await this.#nameShared(client, shared)
    await this.#checkInbox(client)
  }

  #checkRecipe(): void {
    for (const [transactionId, key] of knownKeys) {
      const computed = encodeKey(digest(transactionId))
      if (computed !== key)
        this.#invariants.S8.differ(transactionId, null, `its key is ${key}, not ${computed}`)
    }
  }

  #findShared(): bigint[] {
    const sorted = this.#prefixes.subarray(0, this.#count).sort()
    const shared = new Set<bigint>()
    for (let at = 1; at < sorted.length; at++) {
      const prefix = sorted[at]
      if (prefix !== undefined && prefix === sorted[at - 1]) shared.add(prefix)
    }
    return [...shared]
  }

  async #nameShared(client: pg.Client, shared: readonly bigint[]): Promise<void> {
    const { S2, S8 } = this.#invariants
    const prefixes = shared.slice(0, namedMax).map((prefix) => prefix.toString(16).padStart(16, '0'))
    const { rows } = await client.query<{ prefix: string; ids: string[]; message_ids: string[] }>(
      `select p.prefix, array_agg(distinct e.transaction_id) as ids, array_agg(e.message_id::text order by e.message_id)
          as message_ids
        from message_events e
        cross join lateral (
          select encode(substr(sha256(convert_to(e.transaction_id, 'UTF8')), 1, 8), 'hex') as prefix
        ) p
        where e.version = 1 and p.prefix = any($1)
        group by p.prefix`,
      [prefixes],
    )
    for (const { ids, message_ids } of rows) {
      const messages = `messages ${message_ids.join(', ')}`
      if (ids.length < message_ids.length) S2.differ(ids.join(', '), 1, `is the identity of ${messages}`)
      if (new Set(ids.map((id) => encodeKey(digest(id)))).size < ids.length)
        S8.differ(ids.join(', '), null, `have the same key; they are ${messages}`)
    }
    S2.differMore(shared.length - prefixes.length)
  }

  /** S2: the inbox is what keeps an identity to one message. It and the events of version 1 must say the same, row by row. */
  async #checkInbox(client: pg.Client): Promise<void> {
    const { S2 } = this.#invariants
    const { rows } = await client.query<InboxDifference>(`
      select coalesce(e.transaction_id, i.transaction_id) as name, e.message_id as of_log, i.message_id as of_inbox,
        e.transaction_id is distinct from i.transaction_id as other_id, count(*) over () as differences
      from (select message_id, transaction_id, payload_sha256 from message_events where version = 1) e
      full join (
        select i.message_id, i.transaction_id, i.payload_sha256 from inbox i
        where not exists (
          select from segment_archives a where i.message_id >= a.first_message_id and i.message_id < a.next_message_id
        )
      ) i on i.message_id = e.message_id
      where i.transaction_id is distinct from e.transaction_id or i.payload_sha256 is distinct from e.payload_sha256
      order by coalesce(e.message_id, i.message_id)
      limit ${namedMax}`)
    for (const row of rows) S2.differ(row.name ?? `message ${row.of_log ?? row.of_inbox}`, 1, explain(row))
    S2.differMore(Number(rows[0]?.differences ?? 0) - rows.length)
  }
}

type InboxDifference = {
  name: string | null
  of_log: string | null
  of_inbox: string | null
  other_id: boolean
  differences: string
}

function explain({ of_log, of_inbox, other_id }: InboxDifference): string {
  if (of_inbox === null) return `message ${of_log} is not in the inbox`
  if (of_log === null) return `the inbox knows it as message ${of_inbox}, which has no version 1`
  return `the inbox knows message ${of_inbox} with another ${other_id ? 'transaction id' : 'hash'}`
}
