import type { AccessRecord } from '../../log/write/record-accesses.ts'
import type { RefusalReason } from '../access.ts'

type Refused = {
  readonly reason: RefusalReason
  /** Whose token it was; null where that is not known. */
  readonly name: string | null
  /** Null for all those that are not told apart. */
  readonly address: string | null
  readonly since: string
  count: number
}

// So many rows at a time at most, and one more for each reason: under a flood from any number of addresses, 55 rows a minute.
const keptMax = 50

/** Logins that were refused and are not written down yet, by reason and address. Bounded, whoever tries. */
export class RefusedLogins {
  #counted = new Map<string, Refused>()

  count(reason: RefusalReason, address: string | null, name: string | null): void {
    this.#add({ reason, address, name, since: new Date().toISOString(), count: 1 })
  }

  /** Takes what was counted. */
  take(): Refused[] {
    const taken = [...this.#counted.values()]
    this.#counted = new Map()
    return taken
  }

  /** Puts back what could not be written, together with what has come since. */
  putBack(taken: readonly Refused[]): void {
    const since = this.take()
    for (const each of [...taken, ...since]) this.#add(each)
  }

  #add(refused: Refused): void {
    const key = `${refused.reason} ${refused.name ?? ''} ${refused.address ?? ''}`
    const known = this.#counted.get(key)
    if (known !== undefined) known.count += refused.count
    else if (this.#counted.size < keptMax || refused.address === null) this.#counted.set(key, refused)
    else this.#add({ ...refused, name: null, address: null })
  }
}

export function describeRefused(
  { reason, name, address, count, since }: Refused,
  instance: string,
): AccessRecord {
  return {
    kind: 'login_refused',
    name: reason,
    actor: name,
    address,
    instance,
    amount: count,
    details: { since },
  }
}
