import { createReadStream } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { createInterface } from 'node:readline'

/** One request as the processor saw it. The checker trusts only this file about effects. */
export interface Entry {
  /** When it arrived, in RFC 3339. */
  at: string
  /** The Idempotency-Key; null if none was sent. */
  key: string | null
  /** Null if the body has none. */
  transaction_id: string | null
  /** The body's SHA-256, in hex. */
  sha256: string
  /** Whether this request had the effect: true at most once for a key. */
  effect: boolean
  /** The status of the answer, even if the answer was lost on purpose; 0 if no answer was intended. */
  status: number
}

interface Waiting {
  line: string
  resolve: () => void
  reject: (error: unknown) => void
}

/**
 * A file of JSON lines. A line is on disk when its `append` resolves. Requests that arrive during a write
 * share the next one, so the speed of the disk limits the latency and not the throughput.
 */
export class Ledger {
  readonly #file: FileHandle
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Opens the ledger and calls `recall` with each entry in it. */
  static async open(path: string, recall: (entry: Entry) => void): Promise<Ledger> {
    const file = await open(path, 'a+')
    await cutTornLine(file)
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity }))
      if (line !== '') recall(JSON.parse(line) as Entry)
    return new Ledger(file)
  }

  append(entry: Entry): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line: `${JSON.stringify(entry)}\n`, resolve, reject })
      this.#writing ??= this.#write()
    })
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file.close()
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#file.appendFile(batch.map(({ line }) => line).join(''))
        await this.#file.datasync()
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#writing = undefined
  }
}

/**
 * Removes a last line that a kill left unfinished. Its request was never answered, so nobody relies on it,
 * and the next line must begin on its own.
 */
async function cutTornLine(file: FileHandle): Promise<void> {
  let { size } = await file.stat()
  const byte = Buffer.alloc(1)
  while (size > 0) {
    await file.read(byte, 0, 1, size - 1)
    if (byte[0] === 0x0a) break
    size -= 1
  }
  await file.truncate(size)
}
