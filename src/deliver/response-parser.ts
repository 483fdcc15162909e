import { readReference, type FoundReference, type ReferenceSource } from '../message/reference.ts'
import { AnswerFault } from './answer-fault.ts'
import { HeaderValues } from './header-values.ts'
import * as llhttp from './llhttp.ts'

/** No useful answer has a longer body. Of a longer one the rest is not read, and its status counts. */
const bodyMaxBytes = 64 * 1024

/** For the status line's phrase, the headers and the trailers of one answer together. */
const headMaxBytes = 64 * 1024

/** Interim answers are skipped. After this many, a final answer is not expected any more. */
const interimsMax = 100

const noBytes: Buffer = Buffer.alloc(0)

/** What the parser made of the bytes. `cut`: the status counts, and the connection is of no more use. */
export type Progress = 'incomplete' | 'complete' | 'cut' | AnswerFault

/** The faults that can only be in the headers. */
const headerFaults: ReadonlySet<number> = new Set([
  llhttp.parsed.unexpectedContentLength,
  llhttp.parsed.invalidHeaderToken,
  llhttp.parsed.invalidContentLength,
  llhttp.parsed.invalidTransferEncoding,
])

/**
 * Reads the answers of one connection, one at a time. llhttp does all parsing, strictly (RFC 9112); this
 * class keeps what it found and sets the limits.
 *
 * Interim answers (1xx) come before the final one and are skipped (RFC 9110 §15.2).
 */
export class ResponseParser implements llhttp.ParserCallbacks {
  /** Of the final answer, once its headers are complete. */
  statusCode: number | null = null
  /** Whether the answer lets its connection be used again (RFC 9112 §9.3). */
  keepAlive = false
  readonly headers: HeaderValues
  readonly #source: ReferenceSource | null
  #pointer: number
  #bytes = noBytes
  #isComplete = false
  #isCut = false
  #fault: AnswerFault | null = null
  #hasHeaders = false
  #headBytes = 0
  #bodyBytes = 0
  /** The body as far as it has come, if it is looked into, and room for more of it. */
  #body = noBytes
  #interims = 0

  /** @param source where answers have what the processor calls the payment; null if nobody looks for it, and then no body is kept */
  constructor(source: ReferenceSource | null = null) {
    this.#source = source
    this.headers = new HeaderValues(source?.kind === 'header' ? source.name : null)
    this.#pointer = llhttp.allocate()
  }

  /** Expects the next answer. Nothing of the last one is left. */
  expect(): void {
    llhttp.reset(this.#pointer)
    this.statusCode = null
    this.keepAlive = false
    this.#isComplete = false
    this.#isCut = false
    this.#fault = null
    this.#bodyBytes = 0
    this.#body = noBytes
    this.#interims = 0
  }

  /**
   * Reads the first `length` bytes, at most 64 KiB. They are not kept. Bytes behind the end of a complete
   * answer are not read, and the connection must not be used again.
   */
  read(bytes: Buffer, length: number): Progress {
    this.#bytes = bytes
    const result = llhttp.execute(this.#pointer, this, bytes, length)
    if (this.#isComplete && llhttp.stoppedAt(this.#pointer) < length) this.keepAlive = false
    return this.#progress(result)
  }

  /** The connection has ended. That is how an answer without a length ends (RFC 9112 §6.3). */
  finish(): Progress {
    if (this.statusCode === null) return new AnswerFault('closed')
    const result = llhttp.finish(this.#pointer, this)
    if (this.#isComplete) return 'complete'
    const hasLength = !this.keepAlive && this.headers.get('content-length') !== null
    if (hasLength) return new AnswerFault('content_length')
    return this.keepAlive || result === llhttp.parsed.ok ? new AnswerFault('closed') : this.#faultOf(result)
  }

  /**
   * What the answer calls the payment, once its headers are complete; null if it does not. A body that has not come to its end says
   * nothing. Undefined if nobody looks for it, or if there is no answer.
   */
  reference(): FoundReference | null | undefined {
    if (this.#source === null || this.statusCode === null) return undefined
    if (this.#source.kind === 'json') {
      if (!this.#isComplete && !this.#isCut) return null
      const body = this.#isCut ? null : this.#body.toString('utf8', 0, this.#bodyBytes)
      return readReference(this.#source, { body, header: null })
    }
    return readReference(this.#source, { body: null, header: this.headers.get(this.#source.name) })
  }

  /** Releases the parser's memory. It must not be used any more. */
  free(): void {
    llhttp.free(this.#pointer)
    this.#pointer = 0
  }

  #progress(result: number): Progress {
    if (this.#isComplete) return 'complete'
    if (this.#isCut) return 'cut'
    if (result === llhttp.parsed.ok) return 'incomplete'
    return this.#faultOf(result)
  }

  #faultOf(result: number): AnswerFault {
    if (this.#fault !== null) return this.#fault
    if (result === llhttp.parsed.pausedUpgrade) return new AnswerFault('upgrade')
    const isInHeaders = this.statusCode === null && (this.#hasHeaders || headerFaults.has(result))
    return new AnswerFault(isInHeaders ? 'headers' : 'protocol', llhttp.reasonOfError(this.#pointer))
  }

  onMessageBegin(): number {
    this.headers.clear()
    this.#hasHeaders = false
    this.#headBytes = 0
    return llhttp.parsed.ok
  }

  onStatus(length: number): number {
    return this.#countHead(length)
  }

  onHeaderField(from: number, length: number): number {
    this.#hasHeaders = true
    // A trailer says nothing about the answer as a whole (RFC 9110 §6.5.1).
    if (this.statusCode === null) this.headers.addToName(this.#bytes, from, length)
    return this.#countHead(length)
  }

  onHeaderValue(from: number, length: number): number {
    if (this.statusCode === null) this.headers.addToValue(this.#bytes, from, length)
    return this.#countHead(length)
  }

  onHeadersComplete(statusCode: number, upgrade: boolean, keepAlive: boolean): number {
    if (statusCode < 100) return this.#stop(new AnswerFault('protocol', 'Invalid status code'))
    if (upgrade) return this.#stop(new AnswerFault('upgrade'))
    if (statusCode >= 200) {
      this.statusCode = statusCode
      this.keepAlive = keepAlive
      return llhttp.parsed.ok
    }
    this.#interims += 1
    return this.#interims > interimsMax ? this.#stop(new AnswerFault('too_many_interims')) : llhttp.noBody
  }

  onBody(from: number, length: number): number {
    this.#bodyBytes += length
    if (this.#bodyBytes <= bodyMaxBytes) {
      if (this.#source?.kind === 'json') this.#keepBody(from, length)
      return llhttp.parsed.ok
    }
    this.#body = noBytes
    this.#isCut = true
    return llhttp.parsed.user
  }

  /** Copies, because the next read goes into the same buffer. Chunks may be of one byte each, so none has a buffer of its own. */
  #keepBody(from: number, length: number): void {
    const before = this.#bodyBytes - length
    if (this.#bodyBytes > this.#body.length) {
      const larger = Buffer.allocUnsafe(
        Math.min(bodyMaxBytes, Math.max(this.#bodyBytes, 2 * this.#body.length)),
      )
      this.#body.copy(larger, 0, 0, before)
      this.#body = larger
    }
    this.#bytes.copy(this.#body, before, from, from + length)
  }

  onMessageComplete(): number {
    if (this.statusCode === null) return llhttp.parsed.ok
    this.#isComplete = true
    // So that the parser does not read on into what would be the next answer.
    return llhttp.parsed.paused
  }

  #countHead(length: number): number {
    this.#headBytes += length
    if (this.#headBytes < headMaxBytes) return llhttp.parsed.ok
    return this.#stop(new AnswerFault('headers_too_long'))
  }

  #stop(fault: AnswerFault): number {
    this.#fault = fault
    return llhttp.parsed.user
  }
}
