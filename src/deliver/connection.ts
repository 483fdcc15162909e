import type { Socket } from 'node:net'
import type { FoundReference, ReferenceSource } from '../message/reference.ts'
import { AnswerFault } from './answer-fault.ts'
import type { Attempt } from './attempt.ts'
import type { Connect } from './create-connector.ts'
import { inputMaxBytes } from './llhttp.ts'
import { ResponseParser } from './response-parser.ts'

/**
 * A connection is reused when it was idle for no longer than this, unless the processor's Keep-Alive header
 * says otherwise. Common servers close idle connections after 5 s, and a request that meets the close has an
 * unknown outcome.
 */
const idleDefaultMs = 4_000

/** The processor's own limit is taken for this much shorter, for the way there and for a busy event loop. */
const idleMarginMs = 2_000

/** A body up to this size is copied behind its head, so that one buffer is written. */
const copyMaxBytes = 64 * 1024

/** All sockets read into this buffer: what is read is parsed before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(inputMaxBytes)

/** Told what becomes of a connection. Nothing is told before the constructor has ended. */
export type ConnectionOwner = {
  /** Connected. It waits for its first request. */
  onConnected(connection: Connection): void
  /** The answer is read to its end, and the connection can be used again. */
  onAnswered(connection: Connection): void
  /** A request has ended, with or without an answer, `ms` after it was sent. */
  onEnded(ms: number): void
  /** Its socket is closed. */
  onClosed(connection: Connection): void
}

/**
 * One connection to the processor, with one request at a time.
 *
 * **Bytes begin to leave in `send`**, in the one write of the request. Before it nothing was sent; after it
 * the request may have arrived, and it is not sent again.
 */
export class Connection {
  /** The request that is on the wire, or that waits for the connect. */
  #attempt: Attempt | null
  readonly #owner: ConnectionOwner
  readonly #socket: Socket
  readonly #parser: ResponseParser
  #idleUntil = Infinity
  #endsAt = Infinity
  /** When the request on the wire was sent. */
  #sentAt: number | null = null

  /**
   * @param attempt ends if the connect fails; `takeWaiting` hands it back when the connection stands
   * @param lifetimeMs a connection that stands longer is not used for another request
   * @param reference where its answers have what the processor calls the payment; null if nobody looks for it
   */
  constructor(
    connect: Connect,
    attempt: Attempt,
    lifetimeMs: number,
    reference: ReferenceSource | null,
    owner: ConnectionOwner,
  ) {
    this.#attempt = attempt
    this.#parser = new ResponseParser(reference)
    this.#owner = owner
    const read = (length: number) => {
      this.#read(length)
      return true
    }
    this.#socket = connect({ buffer: readBuffer, callback: read }, () => {
      const now = performance.now()
      this.#endsAt = now + lifetimeMs
      this.#idleUntil = now + idleDefaultMs
      owner.onConnected(this)
    })
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('end', () => this.#readEnd())
    this.#socket.on('close', () => this.#close())
  }

  /** Of the answer that is being read, once its headers are complete. */
  get statusCode(): number | null {
    return this.#parser.statusCode
  }

  /** What the answer that is being read calls the payment; see ResponseParser. */
  get reference(): FoundReference | null | undefined {
    return this.#parser.reference()
  }

  /** The attempt that waited for the connect. */
  takeWaiting(): Attempt | null {
    const attempt = this.#attempt
    this.#attempt = null
    return attempt
  }

  /**
   * Whether another request may be sent at `now` (performance.now()). The processor may be about to close a
   * connection that was idle too long, and one that is too old is replaced so that DNS is asked again.
   */
  isUsable(now: number): boolean {
    const { destroyed, writable } = this.#socket
    return !destroyed && writable && now < this.#idleUntil && now < this.#endsAt
  }

  /**
   * Sends the request of an attempt, if it still wants to be sent. The connection is usable and has no other
   * request.
   *
   * @returns false if the attempt has ended unsent
   */
  send(attempt: Attempt): boolean {
    if (!attempt.begin(this)) return false
    this.#attempt = attempt
    this.#sentAt = performance.now()
    this.#parser.expect()
    const { head, body } = attempt.request
    if (body.length <= copyMaxBytes) {
      const bytes = Buffer.allocUnsafe(head.length + body.length)
      bytes.write(head, 'latin1')
      bytes.set(body, head.length)
      this.#socket.write(bytes)
    } else {
      this.#socket.cork()
      this.#socket.write(head, 'latin1')
      this.#socket.write(body)
      this.#socket.uncork()
    }
    return true
  }

  /** Closes the connection at once. What was sent on it may have arrived. */
  drop(): void {
    this.#end()
    this.#socket.destroy()
  }

  #read(length: number): void {
    // Nobody asked: such bytes answer nothing (RFC 9112 §9.2).
    if (this.#attempt === null) this.#dropIdle()
    else this.#proceed(this.#parser.read(readBuffer, length))
  }

  /** The processor has closed its side. */
  #readEnd(): void {
    if (this.#attempt === null) {
      this.#dropIdle()
      return
    }
    const progress = this.#parser.finish()
    // By way of the socket, so that whoever listens for a refused certificate hears of it.
    if (progress instanceof AnswerFault) this.#socket.destroy(progress)
    else this.#proceed(progress)
  }

  #fail(error: NodeJS.ErrnoException): void {
    const attempt = this.#attempt
    if (attempt === null) return
    // An answer that ends with its connection may end with a reset as well; then its status counts.
    if (error.code === 'ECONNRESET' && this.statusCode !== null && !this.#parser.keepAlive) {
      const progress = this.#parser.finish()
      if (progress === 'complete') {
        this.#proceed(progress)
        return
      }
    }
    this.drop()
    attempt.fail(error)
  }

  #proceed(progress: ReturnType<ResponseParser['read']>): void {
    const attempt = this.#attempt
    if (progress === 'incomplete' || attempt === null) return
    if (progress instanceof AnswerFault) {
      this.drop()
      attempt.fail(progress)
      return
    }
    this.#end()
    attempt.answer(this.#parser.statusCode ?? 0, this.#parser.headers)
    const idleMs = this.#idleMs()
    if (this.#socket.writableLength > 0) this.#leave(attempt)
    else if (progress === 'cut' || !this.#parser.keepAlive || idleMs <= 0) this.drop()
    else {
      this.#idleUntil = performance.now() + idleMs
      this.#owner.onAnswered(this)
    }
  }

  /**
   * The answer came before the processor had read the request. The rest is still sent, because the processor
   * may want to read it, also if it takes no other request on this connection. A payment that it has accepted must arrive
   * whole, so its rest has the time that the request had.
   */
  #leave({ deadlineAt }: Attempt): void {
    const isAccepted = this.statusCode !== null && this.statusCode < 300
    const restMs = isAccepted ? deadlineAt - performance.now() : 0
    const timer = setTimeout(() => this.drop(), Math.max(idleDefaultMs, restMs))
    this.#socket.once('close', () => clearTimeout(timer))
    this.#socket.end()
  }

  /** What comes while the rest of a request is sent is of an answer that is known already. */
  #dropIdle(): void {
    if (!this.#socket.writableEnded) this.drop()
  }

  /** How long the connection may be idle after this answer; 0 or less: not at all. */
  #idleMs(): number {
    const value = this.#parser.headers.get('keep-alive')
    const seconds = value === null ? undefined : /timeout\s*=\s*(\d+)/i.exec(value)?.[1]
    return seconds === undefined ? idleDefaultMs : Number(seconds) * 1_000 - idleMarginMs
  }

  /** No request is on the wire any more. */
  #end(): void {
    this.#attempt = null
    if (this.#sentAt === null) return
    this.#owner.onEnded(performance.now() - this.#sentAt)
    this.#sentAt = null
  }

  #close(): void {
    const attempt = this.#attempt
    this.#end()
    this.#parser.free()
    attempt?.fail(new AnswerFault('closed'))
    this.#owner.onClosed(this)
  }
}
