import type { Pool, PoolClient } from 'pg'
import { cleanText, cutText } from './clean-text.ts'
import { namedCall } from './named-call.ts'

export type AccessKind =
  | 'login_refused'
  | 'payload_read'
  | 'exported'
  | 'command_started'
  | 'command_ended'
  | 'service_started'
  | 'tokens_changed'

/** What is written down of an access; the database adds the time and its own user. */
export type AccessRecord = {
  readonly kind: Exclude<AccessKind, 'service_started'>
  /** The holder of a token, or the author of a command. */
  readonly actor?: string | null
  readonly role?: string | null
  readonly address?: string | null
  readonly instance?: string | null
  /** The operation, the command, what was exported, or why a login was refused. */
  readonly name?: string | null
  /** How many refusals, messages or rows; 1 if it is left out. */
  readonly amount?: number
  /** Whose bytes were read; only the first `messagesMax` are kept. */
  readonly transactionIds?: readonly string[]
  /** The `command_started` that this row ends. */
  readonly started?: string
  readonly details?: Readonly<Record<string, unknown>>
}

/** Of one access, so many messages are named. All are counted. */
export const messagesMax = 1_000
const textMax = { actor: 255, role: 32, address: 64, instance: 64, name: 128 } as const

/**
 * Appends accesses in one statement.
 *
 * @returns the number of the last one
 */
export async function recordAccesses(
  database: Pick<Pool | PoolClient, 'query'>,
  accesses: readonly AccessRecord[],
): Promise<string> {
  const call = namedCall('record_accesses', { in_accesses: JSON.stringify(accesses.map(toRow)) })
  const { rows } = await database.query<{ last: string }>(`select ${call.text} as last`, call.values)
  return rows[0]?.last ?? ''
}

/** The settings of a start, as names and hashes. */
export type StartRecord = {
  readonly instance: string
  readonly release: string
  readonly salt: string
  readonly hashes: Readonly<Record<string, string>>
}

/** The salt of the last start's hashes; null if none was recorded. */
export async function readStartSalt(database: Pick<Pool, 'query'>): Promise<string | null> {
  const { rows } = await database.query<{ salt: string | null }>('select start_salt() as salt')
  return rows[0]?.salt ?? null
}

/**
 * Records a start of the service. Recording it again changes nothing.
 *
 * @returns the names of the settings that have changed since the last start; null if there was none
 */
export async function recordStart(
  database: Pick<Pool, 'query'>,
  { instance, release, salt, hashes }: StartRecord,
): Promise<readonly string[] | null> {
  const call = namedCall('record_start', {
    in_instance: instance,
    in_release: release,
    in_salt: salt,
    in_settings: JSON.stringify(hashes),
  })
  const { rows } = await database.query<{ changed: string[] | null }>(
    `select ${call.text} as changed`,
    call.values,
  )
  return rows[0]?.changed ?? null
}

function toRow({ transactionIds, details, ...access }: AccessRecord) {
  const read = (name: keyof typeof textMax) => {
    const text = access[name] ?? null
    return text === null ? null : cutText(cleanText(text), textMax[name]) || null
  }
  return {
    kind: access.kind,
    amount: access.amount ?? 1,
    started: access.started ?? null,
    actor: read('actor'),
    role: read('role'),
    address: read('address'),
    instance: read('instance'),
    name: read('name'),
    transaction_ids: transactionIds?.slice(0, messagesMax) ?? null,
    details: details ?? {},
  }
}
