import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { Seldom } from '../runtime/seldom.ts'

// Enough for what checks and scrapes an instance; whoever comes when these are taken too takes the place of the first of them.
const reservedMax = 64
// An answer without a database takes three seconds at most.
const reservedMsMax = 5_000
const tellEveryMs = 60_000

type Dependencies = { readonly metrics: Metrics; readonly logger: Logger }

/**
 * How many connections there may be. One that comes when all are in use, as those of slow or idle callers are, is not reset but let into a
 * small reserve: for one request for health or metrics, and for seconds. So whoever watches the service can see what is the matter.
 */
export class Room {
  readonly #reserved = new Set<Socket>()
  readonly #connectionsMax: number
  readonly #dependencies: Dependencies
  readonly #telling = new Seldom(tellEveryMs)
  #open = 0

  constructor(server: Server, connectionsMax: number, dependencies: Dependencies) {
    this.#connectionsMax = connectionsMax
    this.#dependencies = dependencies
    server.on('connection', (socket) => this.#enter(socket))
  }

  /** Whether this connection may only ask for health and metrics. */
  isReserved(socket: Socket): boolean {
    return this.#reserved.has(socket)
  }

  #enter(socket: Socket): void {
    const { metrics } = this.#dependencies
    metrics.httpConnections.inc()
    const isOver = this.#open >= this.#connectionsMax
    if (isOver) this.#reserve(socket)
    else this.#open += 1
    socket.once('close', () => {
      metrics.httpConnections.dec()
      if (isOver) this.#reserved.delete(socket)
      else this.#open -= 1
    })
  }

  #reserve(socket: Socket): void {
    const { metrics, logger } = this.#dependencies
    metrics.httpConnectionsOverLimit.inc()
    this.#reserved.add(socket)
    const [first] = this.#reserved
    if (this.#reserved.size > reservedMax) first?.destroy()
    const timer = setTimeout(() => socket.destroy(), reservedMsMax)
    socket.once('close', () => clearTimeout(timer))
    if (this.#telling.due())
      logger.warn({ open: this.#open }, 'HTTP connections are used up: only health and metrics are answered')
  }
}
