import pg from 'pg'

type Callback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (fault?: unknown) => void,
) => void

// A question costs a fraction of a millisecond; under load no connection is idle for so long.
const trustedDefaultMs = 10_000
// Within what a caller of /status waits, and many times what an answer takes between continents.
const answerMsMax = 1_000

/**
 * A pool that asks a connection which was idle for a while whether it still leads anywhere, before it hands it out. What stands between
 * may have forgotten the connection without a word to either side, and then a statement on it hangs until its time limit.
 */
export class ProvenPool extends pg.Pool {
  readonly #trustedMs: number
  readonly #usedAt = new WeakMap<pg.PoolClient, number>()
  // If one connection is dead, those that were used less recently are probably dead too. They are dropped without asking, so that the wait
  // of a second comes once and not for each.
  #suspectBefore = -Infinity

  /** @param trustedMs for how long a connection may be idle and still be handed out unasked */
  constructor(config: pg.PoolConfig, trustedMs = trustedDefaultMs) {
    super(config)
    this.#trustedMs = trustedMs
    this.on('release', (_, client) => this.#usedAt.set(client, performance.now()))
  }

  override connect(): Promise<pg.PoolClient>
  override connect(callback: Callback): void
  override connect(callback?: Callback): Promise<pg.PoolClient> | void {
    if (callback === undefined) {
      return new Promise((resolve, reject) => {
        this.#connect((error, client) => {
          if (client === undefined) reject(error ?? new Error('no connection'))
          else resolve(client)
        })
      })
    }
    this.#connect(callback)
  }

  /** With a callback, as pg's own query() asks for it: a promise more would be one for each statement. */
  #connect(callback: Callback): void {
    super.connect((error, client, release) => {
      if (client === undefined || this.#isTrusted(client)) {
        callback(error, client, release)
        return
      }
      void this.#answers(client).then((isAlive) => {
        if (isAlive) {
          callback(undefined, client, release)
        } else {
          release(true)
          this.#connect(callback)
        }
      })
    })
  }

  #isTrusted(client: pg.PoolClient): boolean {
    const usedAt = this.#usedAt.get(client)
    return usedAt === undefined || performance.now() - usedAt < this.#trustedMs
  }

  async #answers(client: pg.PoolClient): Promise<boolean> {
    if ((this.#usedAt.get(client) ?? 0) < this.#suspectBefore) return false
    // A connection that breaks rejects the question and emits an error besides, which would end the process.
    const ignore = () => undefined
    client.on('error', ignore)
    try {
      await client.query({ text: 'select 1', query_timeout: answerMsMax } as pg.QueryConfig)
      return true
    } catch {
      this.#suspectBefore = performance.now()
      return false
    } finally {
      client.removeListener('error', ignore)
    }
  }
}
