import { createReadStream } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { createInterface } from 'node:readline'

/** One request as the processor saw it. The checker believes this file and nothing else about effects. */
export interface Entry {
  /** When, in RFC 3339. */
  at: string
  /** The Idempotency-Key, null if none was sent. */
  key: string | null
  /** Null if the body has none. */
  transaction_id: string | null
  /** Of the body, in hex. */
  sha256: string
  /** Whether this very request had the effect: true once a key at most. */
  effect: boolean
  /** What was answered, or would have been had the answer not been lost; 0 where none was meant to come. */
  status: number
}

interface Waiting {
  line: string
  resolve: () => void
  reject: (error: unknown) => void
}

/**
 * A file of JSON lines that are on disk when `append` resolves. Requests that come in while one write is under way share the
 * next, so that the disk's pace bounds the latency and not the throughput.
 */
export class Ledger {
  readonly #file: FileHandle
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Opens the ledger and hands each entry that it holds to `recall`. */
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

/** A line that a kill left unfinished was never answered, so nobody relies on it; a line behind it must stand alone. */
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
