import type { FoundReference, ReferenceFault } from '../message/reference.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { Seldom } from '../runtime/seldom.ts'

const toldEveryMs = 600_000

/** Counts what answers call their payments, and tells of references that are not kept: of each kind at first, and then once in ten minutes. */
export class References {
  readonly #metrics: Pick<Metrics, 'references'>
  readonly #logger: Logger
  readonly #told = new Map<ReferenceFault, Seldom>()

  constructor(metrics: Pick<Metrics, 'references'>, logger: Logger) {
    this.#metrics = metrics
    this.#logger = logger
  }

  /** @param found null if the answer has none, undefined if nobody looks for it or there was no answer */
  note(found: FoundReference | null | undefined, transactionId: string, attempt: number): void {
    if (found === undefined) return
    const fault = found !== null && 'fault' in found ? found.fault : null
    this.#metrics.references.inc({ result: fault ?? (found === null ? 'absent' : 'kept') })
    if (fault === null) return
    const told = this.#told.get(fault) ?? new Seldom(toldEveryMs)
    this.#told.set(fault, told)
    // The reference itself may be what must not be written down.
    if (told.due()) this.#logger.warn({ transaction_id: transactionId, attempt, fault }, 'reference not kept')
  }
}
