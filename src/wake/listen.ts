import { performance } from 'node:perf_hooks'
import type pg from 'pg'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { retryDelayMs } from '../runtime/retry-delay-ms.ts'
import { wait } from '../runtime/wait.ts'
import { Session } from './session.ts'

export type ListenOptions = {
  /** A direct connection. Through a transaction pooler LISTEN lands in a session that somebody else uses next. */
  connectionString: string
  ssl?: pg.ConnectionConfig['ssl']
  channels: readonly string[]
  /** Names this process in `pg_stat_activity`. */
  instance: string
  /** A hint: look again. Called for each notification, so it must be cheap. */
  onNotify(channel: string): void
  /** Every LISTEN is in effect; what was committed before may have gone unheard: look now. */
  onUp(reconnect: boolean): void
  onDown?(reason: string): void
  /** Notifies where what is listened for is committed: the listener is up only as long as it hears that. */
  notifyAsWriter?: (channel: string, payload: string) => Promise<void>
  /** Another instance gave a sign of life: each does every `heartbeatMs`. */
  onAlive?(instance: string): void
  logger: Logger
  /** From the answer to one heartbeat to the next. */
  heartbeatMs?: number
  /** Bounds connecting, each LISTEN and each heartbeat. */
  timeoutMs?: number
  /** The wait before a new session: doubled from `retryMinMs` to `retryMaxMs` while sessions fail, and jittered. */
  retryMinMs?: number
  retryMaxMs?: number
}

export type Listener = {
  readonly up: boolean
  /** `performance.now()` since when the listener has been up without a break; null while it is down. */
  readonly upSince: number | null
  /** Milliseconds since the session last proved that it hears: a notification or a heartbeat. Null before the first. */
  ageMs(): number | null
  /** Why the listener is down; null while it is up. */
  lastError(): string | null
  /** Ends the session, within a second even if the server is out of reach. */
  stop(): Promise<void>
}

// A session that hears nothing any more is found within 8 s (heartbeat + timeout). The sweep counts as missed only what was due for 10 s
// while the listener was up, so a deaf session is never counted as a missed wake-up.
const heartbeatDefaultMs = 5_000
const timeoutDefaultMs = 3_000

/**
 * Keeps one LISTEN session for this process and never gives up on it: when a session ends, for whatever reason, the next
 * one is opened, and `onUp` asks for a look that covers what was missed between the two. A notification is only a hint,
 * so nothing is replayed: the look finds what is due.
 */
export function listen(options: ListenOptions): Listener {
  return new KeptListener(options)
}

class KeptListener implements Listener {
  readonly #options: ListenOptions
  readonly #stopping = new AbortController()
  readonly #ended: Promise<void>
  #session: Session | null = null
  #upSince: number | null = null
  #heardAt: number | null = null
  #lastError: string | null = null
  #reconnect = false
  #failures = 0

  constructor(options: ListenOptions) {
    this.#options = options
    this.#ended = this.#keep()
  }

  get up(): boolean {
    return this.#upSince !== null
  }

  get upSince(): number | null {
    return this.#upSince
  }

  ageMs(): number | null {
    return this.#heardAt === null ? null : performance.now() - this.#heardAt
  }

  lastError(): string | null {
    return this.#lastError
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#session?.close()
    await this.#ended
  }

  async #keep(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#hold()
      } catch (error) {
        await this.#goDown(reasonOf(error))
      }
    }
  }

  /** Opens a session and holds it until it ends; always throws, with the reason. */
  async #hold(): Promise<never> {
    const { heartbeatMs = heartbeatDefaultMs } = this.#options
    const session = this.#createSession()
    this.#session = session
    try {
      await session.open()
      this.#goUp()
      while (await wait(heartbeatMs, session.over)) {
        await session.beat()
        // Not waited for: it is as slow as the work that is written. What it finds ends the session.
        session.prove().catch(() => undefined)
        this.#heardAt = performance.now()
        // Not before the first heartbeat: sessions that die young are failures too, and their successors wait longer.
        this.#failures = 0
      }
      throw session.over.reason
    } finally {
      session.drop(new Error('the session was left'))
    }
  }

  #createSession(): Session {
    const { connectionString, ssl, channels, instance, notifyAsWriter } = this.#options
    const { timeoutMs = timeoutDefaultMs } = this.#options
    return new Session({
      connectionString,
      ssl,
      channels,
      applicationName: `transaction-queue-proxy listen ${instance}`,
      timeoutMs,
      instance,
      ...(notifyAsWriter && { notifyAsWriter }),
      onAlive: (other) => this.#options.onAlive?.(other),
      onNotify: (channel) => {
        this.#heardAt = performance.now()
        this.#options.onNotify(channel)
      },
    })
  }

  #goUp(): void {
    const reconnect = this.#reconnect
    this.#reconnect = true
    this.#upSince = this.#heardAt = performance.now()
    this.#lastError = null
    this.#options.logger.info({ channels: this.#options.channels, reconnect }, 'listener up')
    this.#options.onUp(reconnect)
  }

  /** Tells that the listener is down, unless that was asked for, and waits until it is time for the next session. */
  async #goDown(reason: string): Promise<void> {
    const wasUp = this.up
    this.#upSince = null
    if (this.#stopping.signal.aborted) return
    this.#lastError = reason
    const retryInMs = jitteredDelay(this.#options, ++this.#failures)
    const line = { reason, retry_in_ms: retryInMs }
    this.#options.logger.warn(line, wasUp ? 'listener down' : 'listener cannot connect')
    if (wasUp) this.#options.onDown?.(reason)
    await wait(retryInMs, this.#stopping.signal)
  }
}

/** Cut by up to half at random, so that instances do not all come back at once. */
function jitteredDelay({ retryMinMs = 100, retryMaxMs = 5_000 }: ListenOptions, failures: number): number {
  const delayMs = retryDelayMs(failures, { firstMs: retryMinMs, maxMs: retryMaxMs })
  return Math.round(delayMs * (1 - Math.random() / 2))
}
