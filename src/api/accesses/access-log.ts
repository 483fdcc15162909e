import type { Pool } from 'pg'
import { recordAccesses, type AccessRecord } from '../../log/write/record-accesses.ts'
import type { Metrics } from '../../metrics.ts'
import type { Logger } from '../../runtime/logger.ts'
import { reasonOf } from '../../runtime/reason-of.ts'
import { Seldom } from '../../runtime/seldom.ts'
import { within } from '../../runtime/within.ts'
import type { RefusalReason } from '../access.ts'
import { ask } from '../ask.ts'
import { shortName } from '../tokens.ts'
import type { Asking } from './asking.ts'
import type { BytesRead } from './bytes-read.ts'
import { ExportLimit } from './export-limit.ts'
import { FollowedReads } from './followed-reads.ts'
import { networkOf } from './network-of.ts'
import { describeRefused, RefusedLogins } from './refused-logins.ts'

type Dependencies = {
  readonly database: Pool
  readonly metrics: Metrics
  readonly logger: Logger
  readonly instance: string
}

const writeEveryMs = 60_000
const tellEveryMs = 60_000
// A part of what the server has for closing.
const closeMsMax = 500

/**
 * Writes down who came to the data, in the table `accesses`. A refused login is counted, and its row is written later: no caller waits for it,
 * so neither a flood nor a database that is away makes it slow. Bytes that are read are recorded before the answer leaves.
 */
export class AccessLog {
  readonly #dependencies: Dependencies
  readonly #timer: NodeJS.Timeout
  readonly #telling = new Seldom(tellEveryMs)
  readonly #refused = new RefusedLogins()
  readonly #exports = new ExportLimit()
  readonly #followed = new FollowedReads((asking, bytes) => this.read(asking, bytes))

  /** @param everyMs how often what was counted is written */
  constructor(dependencies: Dependencies, everyMs = writeEveryMs) {
    this.#dependencies = dependencies
    this.#timer = setInterval(() => void this.#writeCounted(), everyMs).unref()
  }

  /** Counts a login that was refused, or a wish that the role does not allow. */
  refuse(reason: RefusalReason, address: string | undefined, name: string | null): void {
    this.#dependencies.metrics.loginsRefused.inc({ reason })
    this.#refused.count(reason, networkOf(address), name)
  }

  /**
   * Records whose bytes an answer holds.
   *
   * @throws DatabaseUnavailable; then the answer must not leave
   */
  async read(asking: Asking, bytes: BytesRead): Promise<void> {
    await this.#write([
      {
        kind: 'payload_read',
        ...this.#describe(asking),
        amount: bytes.messages,
        transactionIds: bytes.transactionIds,
        details: { bytes: bytes.kinds, ...describeToken(asking) },
      },
    ])
  }

  /** The same for an answer of a subscription. */
  async readFollowing(asking: Asking, bytes: BytesRead): Promise<void> {
    await this.#followed.add(asking, bytes)
  }

  /**
   * Records what a client says that it has exported.
   *
   * @returns the number of the row; null if this client has recorded too many in this minute
   * @throws DatabaseUnavailable
   */
  async exported(
    asking: Asking,
    client: string,
    { what, format, rows }: { what: string; format: string; rows: number },
  ): Promise<string | null> {
    if (!this.#exports.admit(client)) return null
    const details = { format, ...describeToken(asking) }
    return this.#write([{ kind: 'exported', ...this.#describe(asking), name: what, amount: rows, details }])
  }

  /** Records that tokens were added and removed, by the names of their holders. Nobody can say who did so. Never rejects. */
  async changeTokens(added: readonly string[], removed: readonly string[]): Promise<void> {
    const { instance } = this.#dependencies
    const amount = added.length + removed.length
    await this.#write([{ kind: 'tokens_changed', instance, amount, details: { added, removed } }]).catch(
      () => undefined,
    )
  }

  /** Writes what is still counted, if that takes a moment only. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await within(this.#writeCounted(), closeMsMax)
  }

  async #writeCounted(): Promise<void> {
    await Promise.all([this.#writeRefused(), this.#followed.writeCounted()])
  }

  async #writeRefused(): Promise<void> {
    const refused = this.#refused.take()
    if (refused.length === 0) return
    const { instance } = this.#dependencies
    // What could not be written is tried again with what comes in the next minute.
    await this.#write(refused.map((each) => describeRefused(each, instance))).catch(() =>
      this.#refused.putBack(refused),
    )
  }

  #describe({ viewer, address, operation }: Asking) {
    const { instance } = this.#dependencies
    return { actor: viewer.name, role: viewer.role, address: networkOf(address), instance, name: operation }
  }

  async #write(rows: readonly AccessRecord[]): Promise<string> {
    const { database, metrics, logger } = this.#dependencies
    try {
      return await ask(database, (client) => recordAccesses(client, rows))
    } catch (error) {
      metrics.accessRowsFailed.inc(rows.length)
      if (this.#telling.due())
        logger.warn({ reason: reasonOf(error), rows: rows.length }, 'accesses not recorded')
      throw error
    }
  }
}

/** Tells two tokens of one holder apart. */
function describeToken({ viewer: { token } }: Asking): { token?: string } {
  return token === null ? {} : { token: shortName(token) }
}
