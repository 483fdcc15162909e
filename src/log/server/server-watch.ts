import type { ClientBase, Pool } from 'pg'
import type { Logger } from '../../runtime/logger.ts'
import { inspectServer } from './inspect-server.ts'
import { recognizeServer, type Asked, type ServerChange } from './recognize-server.ts'
import { refuseStandby } from './refuse-standby.ts'

/** A client with its socket, which pg's types leave out. */
type Connected = ClientBase & { readonly connection: { readonly stream: { destroy(): void } } }

/**
 * Notices when the log is on another server than before, as after a failover, or when the log itself is an older copy. Each new
 * connection is asked before its first use, because a change of the server breaks the old connections. Behind a pooler they may
 * not break, so whoever reaches the database again after an outage asks too. Connections to the former server are closed: it
 * may still answer, and what it is told is lost.
 */
export class ServerWatch {
  readonly #actor: string
  readonly #logger: Logger
  readonly #onChange: () => void
  readonly #clients = new Map<ClientBase, string | null>()
  #change: string | null = null
  #seen: bigint | null = null

  /** @param onChange is called once for each change: what was remembered about the log must be checked again */
  constructor(actor: string, logger: Logger, onChange: () => void) {
    this.#actor = actor
    this.#logger = logger
    this.#onChange = onChange
  }

  /** The change that is known now; hand it to `see`. */
  get change(): string | null {
    return this.#change
  }

  /** Finds out which server the log is on. Call it when the schema is there; until then no connection is asked. */
  async begin(database: Pool): Promise<void> {
    const found = await recognizeServer(database, this.#actor, null, null)
    this.#change = found?.change ?? null
    for (const client of this.#clients.keys()) this.#clients.set(client, this.#change)
    this.#logger.info({ epoch: found?.epoch, timeline: found?.timeline }, 'log recognized')
  }

  /** Notes how far the log was seen to reach, by a statement that began while `change` was the known one. */
  see(position: bigint, change: string | null): void {
    if (change === this.#change && position > (this.#seen ?? -1n)) this.#seen = position
  }

  /** Asks again which server it is. Call it after an outage. */
  async recognize(database: Asked): Promise<void> {
    if (this.#change === null) return
    const found = await recognizeServer(database, this.#actor, this.#change, this.#seen)
    if (found === null || found.change === this.#change) return
    this.#change = found.change
    this.#seen = null
    this.#tell(found)
    this.#dropFormer()
    this.#onChange()
  }

  /**
   * Checks a new connection of the pool: refuses it if it leads to a standby, or if commits on it may be forgotten, and asks it which
   * server it leads to.
   */
  readonly verify = async (client: ClientBase): Promise<void> => {
    await refuseStandby(client)
    if (this.#change !== null) await this.#refuseForgetful(client)
    await this.recognize(client)
    this.#clients.set(client, this.#change)
    client.once('end', () => this.#clients.delete(client))
  }

  /** What the start has refused may become so later, for new sessions alone: a role's own synchronous_commit. */
  async #refuseForgetful(client: ClientBase): Promise<void> {
    const { faults } = await inspectServer(client)
    if (faults.length > 0) throw new Error(faults.join(' '))
  }

  #tell({ epoch, timeline, fromTimeline, lostPositions }: ServerChange): void {
    const line = { epoch, timeline, from_timeline: fromTimeline }
    if (lostPositions === 0n) this.#logger.warn(line, 'the database server changed')
    else
      this.#logger.error(
        { ...line, lost_positions: Number(lostPositions) },
        'the database server changed, and the log has lost its end: Kafka hands over again what is missing',
      )
  }

  #dropFormer(): void {
    for (const [client, change] of this.#clients)
      if (change !== this.#change) (client as Connected).connection.stream.destroy()
  }
}
