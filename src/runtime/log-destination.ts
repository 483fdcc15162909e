import type { Sink } from './sink.ts'

// A write for each attempt costs as much as the attempt's share of the database.
const gatherLengthMin = 4_096
const gatherMs = 100
// Seven seconds of a thousand payments a second: a disk that is busy with something else. In characters, most of them one byte.
const waitingLengthMax = 2 * 1024 * 1024
const retryMs = 200
const flushMsMax = 1_000

export type LogDestinationOptions = {
  /** Called for each line that finds no room. */
  readonly onDrop: () => void
  /** Called when there is room again, with how many lines were dropped before. */
  readonly onRoom: (linesDropped: number) => void
  readonly waitingLengthMax?: number
}

/**
 * Takes lines at once and writes them when it can, in order and each one whole. Whoever logs never waits: while the disk is full or
 * nobody reads, lines wait in a bounded space, and those that find no room are dropped and counted.
 */
export class LogDestination {
  readonly #sink: Sink
  readonly #options: LogDestinationOptions
  readonly #waitingLengthMax: number
  #waiting: string[] = []
  #waitingLength = 0
  /** What is left of the lines that are being written; null between writes. */
  #rest: Buffer | null = null
  #isFailing = false
  #dropped = 0
  #timer: NodeJS.Timeout | undefined
  #onIdle: (() => void) | null = null

  constructor(sink: Sink, options: LogDestinationOptions) {
    this.#sink = sink
    this.#options = options
    this.#waitingLengthMax = options.waitingLengthMax ?? waitingLengthMax
  }

  /** Whether a write is under way that may never come back, and would hold up the end of the process. */
  get hangs(): boolean {
    return this.#sink.canHang && this.#rest !== null && !this.#isFailing
  }

  write(line: string): void {
    if (this.#waitingLength + line.length > this.#waitingLengthMax) {
      this.#dropped++
      this.#options.onDrop()
      return
    }
    this.#waiting.push(line)
    this.#waitingLength += line.length
    if (this.#rest !== null) return
    if (this.#waitingLength >= gatherLengthMin) this.#next()
    else this.#timer ??= setTimeout(() => this.#next(), gatherMs).unref()
  }

  /** Writes what waits, as far as it can be written at once; gives up at the first fault, and after a second. */
  async flush(): Promise<void> {
    const idle = new Promise<void>((resolve) => (this.#onIdle = resolve))
    const timer = setTimeout(() => this.#onIdle?.(), flushMsMax)
    if (this.#rest === null) this.#next()
    else if (this.#isFailing) this.#send(this.#rest)
    await idle
    clearTimeout(timer)
  }

  /** The same for when the process ends unforeseen and nothing can be waited for. */
  flushSync(): void {
    if (this.#rest !== null) return
    let rest = this.#take()
    try {
      while (rest.length > 0) rest = rest.subarray(this.#sink.sendSync(rest))
    } catch {
      // There is nobody left to tell.
    }
  }

  #next(): void {
    if (this.#waiting.length > 0) this.#send(this.#take())
    else this.#onIdle?.()
  }

  #take(): Buffer {
    const lines = this.#waiting.join('')
    this.#waiting = []
    this.#waitingLength = 0
    return Buffer.from(lines)
  }

  #send(bytes: Buffer): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#rest = bytes
    this.#isFailing = false
    this.#sink.send(bytes, (error, sent) => {
      const rest = bytes.subarray(sent)
      if (error !== null) this.#fail(rest)
      else if (rest.length > 0) this.#send(rest)
      else this.#sent()
    })
  }

  #fail(rest: Buffer): void {
    this.#rest = rest
    this.#isFailing = true
    this.#timer = setTimeout(() => this.#send(rest), retryMs).unref()
    this.#onIdle?.()
  }

  #sent(): void {
    this.#rest = null
    const dropped = this.#dropped
    this.#dropped = 0
    // What waits is taken first, so that there is room to tell of it before any line that comes now.
    this.#next()
    if (dropped > 0) this.#options.onRoom(dropped)
  }
}
