import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs'
import { errorCode, type ErrorCode } from './error-code.ts'
import { ProducerSequences } from './producer-sequences.ts'
import { setBaseOffset, readBatch, type RecordBatch } from './record-batch.ts'
import { replaceFile } from './replace-file.ts'

/** Where each stored batch begins. Three arrays of numbers instead of one object for each batch. */
interface BatchIndex {
  baseOffsets: number[]
  positions: number[]
  maxTimestamps: number[]
}

/** A run of whole batches: where it begins in the file, and its length. */
export interface Slice {
  position: number
  byteLength: number
}

const recoveryChunkBytes = 1024 * 1024

/**
 * One partition: a file of record batches, one after another, exactly as their producers sent them.
 *
 * File calls are synchronous on purpose. An append is one write into the page cache, which survives the death
 * of the broker, and nothing can happen between the choice of an offset and the write of its bytes. There is
 * no fsync: the broker promises to survive its own death, not that of the machine.
 */
export class PartitionLog {
  readonly #file: number
  readonly #startPath: string
  readonly #index: BatchIndex = { baseOffsets: [], positions: [], maxTimestamps: [] }
  readonly #sequences = new ProducerSequences()
  readonly #watchers = new Set<() => void>()
  #endPosition = 0
  #startOffset = 0
  #nextOffset = 0

  /**
   * Opens the file, and creates it if it is missing. A truncated or damaged end, which was never
   * acknowledged, is cut off.
   */
  constructor(path: string) {
    this.#file = openSync(path, existsSync(path) ? 'r+' : 'wx+')
    this.#startPath = path.replace(/\.log$/, '.start')
    this.#recover(path)
    const stored = existsSync(this.#startPath) ? Number(readFileSync(this.#startPath, 'utf8')) : 0
    this.#startOffset = Math.min(stored, this.#nextOffset)
  }

  /** The offset of the first record that can still be read. */
  get startOffset(): number {
    return this.#startOffset
  }

  /** The offset that the next record will get; with one replica also the high watermark. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /**
   * Stores one batch and returns its offset. If an idempotent producer repeats a stored batch, returns the
   * offset of the first copy.
   */
  append(bytes: Buffer): { error: ErrorCode; baseOffset: number } {
    const batch = readBatch(bytes)
    if (batch === 'foreign') return { error: errorCode.unsupportedForMessageFormat, baseOffset: -1 }
    if (batch === 'short' || batch === 'damaged') return { error: errorCode.corruptMessage, baseOffset: -1 }
    if (batch.byteLength !== bytes.length) return { error: errorCode.invalidRecord, baseOffset: -1 }
    if (batch.transactional) return { error: errorCode.invalidTxnState, baseOffset: -1 }
    const verdict = this.#sequences.judge(batch)
    if (verdict.kind === 'refused') return { error: verdict.error, baseOffset: -1 }
    if (verdict.kind === 'duplicate') return { error: errorCode.none, baseOffset: verdict.baseOffset }

    const baseOffset = this.#nextOffset
    setBaseOffset(bytes, baseOffset)
    if (!this.#write(bytes)) return { error: errorCode.kafkaStorageError, baseOffset: -1 }
    this.#remember({ ...batch, baseOffset })
    for (const watcher of [...this.#watchers]) watcher()
    return { error: errorCode.none, baseOffset }
  }

  /**
   * Finds the whole batches from the one that holds `offset`, as many as fit into `maxBytes`. The first one
   * is included even if it alone is larger, up to `firstBatchMaxBytes`: otherwise its consumer would never
   * get past it (KIP-74).
   */
  slice(offset: number, maxBytes: number, firstBatchMaxBytes: number): Slice {
    if (offset >= this.#nextOffset) return { position: this.#endPosition, byteLength: 0 }
    const { baseOffsets, positions } = this.#index
    const first = lastAtOrBelow(baseOffsets, offset)
    const position = positions[first] ?? 0
    const firstEnd = positions[first + 1] ?? this.#endPosition
    if (firstEnd - position > maxBytes) {
      return { position, byteLength: firstEnd - position <= firstBatchMaxBytes ? firstEnd - position : 0 }
    }
    if (this.#endPosition - position <= maxBytes)
      return { position, byteLength: this.#endPosition - position }
    const cut = positions[lastAtOrBelow(positions, position + maxBytes)] ?? firstEnd
    return { position, byteLength: cut - position }
  }

  readInto(target: Buffer, slice: Slice): void {
    readWhole(this.#file, target, slice.position)
  }

  /**
   * The first offset whose batch holds a record of `timestamp` or later, or null. The result is exact to the
   * batch, because no batch is opened: a consumer that starts there may see a few earlier records, and misses
   * none.
   */
  offsetAtTime(timestamp: number): { offset: number; timestamp: number } | null {
    const at = this.#index.maxTimestamps.findIndex(
      (each, batch) =>
        each >= timestamp && (this.#index.baseOffsets[batch + 1] ?? Infinity) > this.#startOffset,
    )
    if (at < 0) return null
    const offset = Math.max(this.#startOffset, this.#index.baseOffsets[at] ?? 0)
    return { offset, timestamp: this.#index.maxTimestamps[at] ?? timestamp }
  }

  /**
   * Hides every record below `offset`. The disk space is not freed: a development log is deleted as a whole.
   */
  deleteBefore(offset: number): void {
    if (offset <= this.#startOffset) return
    replaceFile(this.#startPath, String(offset))
    this.#startOffset = offset
  }

  /** Calls `watcher` after every append and when the log is closed. The returned function ends that. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  close(): void {
    closeSync(this.#file)
    for (const watcher of [...this.#watchers]) watcher()
  }

  #write(bytes: Buffer): boolean {
    try {
      for (let written = 0; written < bytes.length;) {
        written += writeSync(this.#file, bytes, written, bytes.length - written, this.#endPosition + written)
      }
      return true
    } catch {
      // The disk is full. The written part of the batch is after the log's end, and the next append
      // overwrites it.
      return false
    }
  }

  #remember(batch: RecordBatch): void {
    this.#index.baseOffsets.push(batch.baseOffset)
    this.#index.positions.push(this.#endPosition)
    this.#index.maxTimestamps.push(batch.maxTimestamp)
    this.#sequences.remember(batch)
    this.#endPosition += batch.byteLength
    this.#nextOffset = batch.baseOffset + batch.recordCount
  }

  #recover(path: string): void {
    const size = fstatSync(this.#file).size
    let chunkBytes = recoveryChunkBytes
    while (this.#endPosition < size) {
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size - this.#endPosition))
      readWhole(this.#file, chunk, this.#endPosition)
      const recovered = this.#rememberAll(chunk)
      if (recovered === 'damaged') break
      if (recovered > 0) continue
      if (chunk.length === size - this.#endPosition) break
      chunkBytes *= 2
    }
    if (this.#endPosition === size) return
    ftruncateSync(this.#file, this.#endPosition)
    process.stderr.write(`cut a torn end of ${size - this.#endPosition} bytes off ${path}\n`)
  }

  /** Adds the whole batches of a chunk to the index. Returns their length in bytes. */
  #rememberAll(chunk: Buffer): number | 'damaged' {
    let at = 0
    for (;;) {
      const batch = readBatch(chunk.subarray(at))
      if (batch === 'short') return at
      if (typeof batch === 'string' || batch.baseOffset !== this.#nextOffset) return 'damaged'
      this.#remember(batch)
      at += batch.byteLength
    }
  }
}

/** The index of the largest of the ascending `values` that is not above `limit`. */
function lastAtOrBelow(values: readonly number[], limit: number): number {
  let low = 0
  let high = values.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((values[middle] ?? Infinity) <= limit) low = middle
    else high = middle - 1
  }
  return low
}

function readWhole(file: number, target: Buffer, position: number): void {
  for (let read = 0; read < target.length;) {
    const more = readSync(file, target, read, target.length - read, position + read)
    if (more === 0) throw new Error('a partition file is shorter than its index')
    read += more
  }
}
