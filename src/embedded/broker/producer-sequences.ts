import { errorCode, type ErrorCode } from './error-code.ts'
import type { RecordBatch } from './record-batch.ts'

type Verdict =
  { kind: 'next' } | { kind: 'duplicate'; baseOffset: number } | { kind: 'refused'; error: ErrorCode }

interface Producer {
  epoch: number
  recent: { baseSequence: number; nextSequence: number; baseOffset: number }[]
}

/**
 * Kafka remembers five batches of each producer, because an idempotent producer has at most five in flight.
 */
const batchesRemembered = 5
const producersRemembered = 1000

/**
 * Detects repeated batches of idempotent producers, in one partition. It is rebuilt from the log at the
 * start.
 */
export class ProducerSequences {
  readonly #producers = new Map<number, Producer>()

  /** Whether this batch is its producer's next one, a repeat of a stored one, or out of order. */
  judge(batch: RecordBatch): Verdict {
    const producer = this.#producers.get(batch.producerId)
    if (batch.producerId < 0 || producer === undefined) return { kind: 'next' }
    if (batch.producerEpoch < producer.epoch)
      return { kind: 'refused', error: errorCode.invalidProducerEpoch }
    if (batch.producerEpoch > producer.epoch) {
      if (batch.baseSequence === 0) return { kind: 'next' }
      return { kind: 'refused', error: errorCode.outOfOrderSequenceNumber }
    }
    const next = nextSequence(batch)
    const stored = producer.recent.find(
      (each) => each.baseSequence === batch.baseSequence && each.nextSequence === next,
    )
    if (stored !== undefined) return { kind: 'duplicate', baseOffset: stored.baseOffset }
    if (producer.recent.at(-1)?.nextSequence === batch.baseSequence) return { kind: 'next' }
    return { kind: 'refused', error: errorCode.outOfOrderSequenceNumber }
  }

  remember(batch: RecordBatch): void {
    if (batch.producerId < 0) return
    const known = this.#producers.get(batch.producerId)
    const recent = known?.epoch === batch.producerEpoch ? known.recent.slice(1 - batchesRemembered) : []
    recent.push({
      baseSequence: batch.baseSequence,
      nextSequence: nextSequence(batch),
      baseOffset: batch.baseOffset,
    })
    // Deleted and set again, so that the map's first key is the producer that has been silent for longest.
    this.#producers.delete(batch.producerId)
    this.#producers.set(batch.producerId, { epoch: batch.producerEpoch, recent })
    if (this.#producers.size <= producersRemembered) return
    for (const quietest of this.#producers.keys()) {
      this.#producers.delete(quietest)
      return
    }
  }
}

/** Sequence numbers wrap at 2^31. */
function nextSequence(batch: RecordBatch): number {
  return (batch.baseSequence + batch.recordCount) % 2 ** 31
}
