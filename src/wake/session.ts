import { randomUUID } from 'node:crypto'
import { Socket } from 'node:net'
import type pg from 'pg'
import pgListen, { type Subscriber } from 'pg-listen'
import { wait } from '../runtime/wait.ts'
import { within } from '../runtime/within.ts'

export type SessionOptions = {
  connectionString: string
  ssl?: pg.ConnectionConfig['ssl']
  channels: readonly string[]
  applicationName: string
  /** Whose heartbeats these are, for the other instances. */
  instance: string
  /** Bounds each step: connecting, each LISTEN, each heartbeat. */
  timeoutMs: number
  /** Notifies where what is listened for is committed, which this session does not write to. */
  notifyAsWriter?: (channel: string, payload: string) => Promise<void>
  onNotify(channel: string): void
  /** A heartbeat of another instance was heard. */
  onAlive(instance: string): void
}

/** One for all instances, so that each hears of the others: who is heard is alive, whatever a clock says of its leases. */
const heartbeatChannel = 'instance_alive'

const unheard =
  'what is notified through DATABASE_URL is not heard: LISTEN_DATABASE_URL, or the name in both, must lead to the same ' +
  'database of the same server'

/** How long a closing session waits for the server to close its end; a half-open one never sees that. */
const closeTimeoutMs = 500

/**
 * One LISTEN session, from its connect to its first fault: it never reconnects, whoever holds it opens another.
 *
 * pg-listen 1.7.0 is the subscriber, used narrowly. Left to reconnect by itself it stops after 3 s and stays deaf, or,
 * when a LISTEN fails on the new connection, says it is connected while it hears nothing; and it waits for ever for a
 * server that has frozen. So its reconnect and its own check are off (`retryLimit: 1` makes no try at all), and the socket
 * is ours: to drop a session is to destroy its socket, with no farewell that a half-open connection would never answer.
 *
 * Neither pg's `connectionTimeoutMillis` nor its `query_timeout` is set. The latter fails the query and leaves the session
 * as it is, and a second bound beside `timeoutMs` would only race it for the reason that is reported.
 */
export class Session {
  readonly #options: SessionOptions
  readonly #socket = new Socket()
  readonly #subscriber: Subscriber
  readonly #over = new AbortController()
  // Nobody else knows it: what arrives with it can only be our own heartbeat.
  readonly #secret = randomUUID()
  readonly #proof = randomUUID()
  #heartbeatHeard = () => {}
  #proofHeard = () => {}
  #isProving = false

  constructor(options: SessionOptions) {
    this.#options = options
    this.#socket.on('error', (error) => this.drop(error))
    this.#socket.on('close', () => this.drop(new Error('PostgreSQL closed the connection')))
    this.#subscriber = pgListen.default(
      {
        connectionString: options.connectionString,
        ssl: options.ssl,
        application_name: options.applicationName,
        // What this side gives up the server gives up too: a NOTIFY that waits for the commits before it has no other end.
        statement_timeout: options.timeoutMs,
        lock_timeout: options.timeoutMs,
        options: '-c idle_session_timeout=0',
        stream: () => this.#socket,
      },
      { retryLimit: 1, retryTimeout: 0, paranoidChecking: false, parse: keepText, serialize: String },
    )
    // pg-listen lets go of its client on any fault and then reports only that it could not reconnect.
    this.#subscriber.events.on('error', () => this.drop(new Error('PostgreSQL ended the session')))
    this.#subscriber.events.on('notification', ({ channel, payload }) => {
      if (channel === heartbeatChannel) this.#hear(String(payload))
      else options.onNotify(channel)
    })
  }

  /** Aborted when the session is over, with the reason. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  /** Connects, listens, and hears its own heartbeat: when this resolves, every notification committed from now on arrives. */
  async open(): Promise<void> {
    await this.#step('connecting', this.#subscriber.connect())
    // One after the other: pg deprecates queries that queue behind an unfinished one.
    for (const channel of [...this.#options.channels, heartbeatChannel]) {
      await this.#step('LISTEN', this.#subscriber.listenTo(channel))
    }
    await this.beat()
    await this.prove()
  }

  /**
   * Notifies itself, and every other instance, and waits to hear it. `select 1` would show that the backend answers; this shows that
   * notifications arrive, which is all that the session is for. If a pooler gave the LISTEN to another session, none arrive. It touches no
   * table. Like every NOTIFY it waits for the lock that orders notifying commits; whenever that takes longer than `timeoutMs`, all other
   * notifications are as late.
   */
  async beat(): Promise<void> {
    const heard = new Promise<void>((resolve) => {
      this.#heartbeatHeard = resolve
    })
    await this.#step(
      'heartbeat',
      Promise.all([
        this.#subscriber.notify(heartbeatChannel, `${this.#options.instance} ${this.#secret}`),
        heard,
      ]),
    )
  }

  /**
   * Sends a notification through the connection that writes, and waits to hear it here. A session that hears its own heartbeat may still be
   * on another database, or on the former primary. If the notification cannot be sent, nothing is proven; the parts that write meet the
   * same error themselves.
   */
  async prove(): Promise<void> {
    const { notifyAsWriter, instance, timeoutMs } = this.#options
    if (notifyAsWriter === undefined || this.#isProving) return
    this.#isProving = true
    const heard = new Promise<void>((resolve) => {
      this.#proofHeard = resolve
    })
    const sent = notifyAsWriter(heartbeatChannel, `${instance} ${this.#proof}`).then(
      () => true,
      () => false,
    )
    // One that hangs is waited for by the next.
    void sent.finally(() => (this.#isProving = false))
    const isSent = await within(sent, timeoutMs, this.over)
    if (isSent === true) await this.#step('proof', heard, unheard)
  }

  /** Ends the session at once and waits for nothing. The first reason is the one that `over` keeps. */
  drop(reason: Error): void {
    this.#over.abort(reason)
    this.#socket.destroy()
  }

  /** Says farewell to the server, which otherwise logs a lost client, and then ends the session in any case. */
  async close(): Promise<void> {
    if (this.#socket.readyState === 'open') {
      void this.#subscriber.close()
      await wait(closeTimeoutMs, this.over)
    }
    this.drop(new Error('the session was closed'))
  }

  #hear(payload: string): void {
    const [instance = '', secret] = payload.split(' ')
    if (secret === this.#secret) this.#heartbeatHeard()
    else if (secret === this.#proof) this.#proofHeard()
    else this.#options.onAlive(instance)
  }

  /** Waits for one step of the session, but no longer than `timeoutMs` and than the session itself. */
  async #step(
    name: string,
    work: Promise<unknown> | undefined,
    fault = `${name} took longer than ${this.#options.timeoutMs} ms`,
  ): Promise<void> {
    let late: NodeJS.Immediate | undefined
    const timer = setTimeout(() => {
      // After this process was frozen, or blocked, the answer may wait in the socket: it is read before this runs.
      late = setImmediate(() => this.drop(new Error(fault)))
    }, this.#options.timeoutMs)
    try {
      await unlessOver(this.over, work)
    } finally {
      clearTimeout(timer)
      clearImmediate(late)
    }
  }
}

/** Ends as `work` does, or rejects with the signal's reason when that aborts first; `work` is then left to itself. */
function unlessOver(over: AbortSignal, work: Promise<unknown> | undefined): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(over.reason as Error)
    if (over.aborted) abort()
    over.addEventListener('abort', abort)
    void Promise.resolve(work)
      .then(resolve, reject)
      .finally(() => over.removeEventListener('abort', abort))
  })
}

/** Payloads are hints from whoever may NOTIFY: nothing is parsed, so nothing they hold can fail. */
function keepText(payload: string): string {
  return payload
}
