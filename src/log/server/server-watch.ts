import type { ClientBase, Pool } from 'pg'
import type { Logger } from '../../runtime/logger.ts'
import { recognizeServer, type Asked, type ServerChange } from './recognize-server.ts'
import { refuseStandby } from './refuse-standby.ts'

/** A client's socket, which pg's types leave out. */
type Connected = ClientBase & { readonly connection: { readonly stream: { destroy(): void } } }

/**
 * Notices when the server below the log is another one than before, as after a failover, or the log itself is an older copy. Each
 * new connection is asked before its first use, because every change of the server breaks the old ones; behind a pooler none may
 * break, so whoever comes back from an outage asks too. Connections that lead to the former server are dropped: it may
 * still answer, and what it is told is lost.
 */
export class ServerWatch {
  readonly #actor: string
  readonly #logger: Logger
  readonly #onChange: () => void
  readonly #clients = new Map<ClientBase, string | null>()
  #change: string | null = null
  #seen: bigint | null = null

  /** @param onChange called once for each change; whatever is remembered of the log has to be judged anew */
  constructor(actor: string, logger: Logger, onChange: () => void) {
    this.#actor = actor
    this.#logger = logger
    this.#onChange = onChange
  }

  /** The change that is known now, to be given to `see`. */
  get change(): string | null {
    return this.#change
  }

  /** Learns which server the log is on. Call it once the schema is there; until then no connection is asked. */
  async begin(database: Pool): Promise<void> {
    const found = await recognizeServer(database, this.#actor, null, null)
    this.#change = found?.change ?? null
    for (const client of this.#clients.keys()) this.#clients.set(client, this.#change)
    this.#logger.info({ epoch: found?.epoch, timeline: found?.timeline }, 'log recognized')
  }

  /** Notes how far the log was seen to reach, by a statement that was begun while `change` was known. */
  see(position: bigint, change: string | null): void {
    if (change === this.#change && position > (this.#seen ?? -1n)) this.#seen = position
  }

  /** Asks again, because connections may have been broken. */
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

  /** Shows a new connection to a standby the door, and asks any other which server it leads to; for the pool. */
  readonly verify = async (client: ClientBase): Promise<void> => {
    await refuseStandby(client)
    await this.recognize(client)
    this.#clients.set(client, this.#change)
    client.once('end', () => this.#clients.delete(client))
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
