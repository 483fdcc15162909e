/** The invariants of docs/invariants.md that the log and the two files can show, each with its rule in words. */
const rules = {
  S1: 'versions of a message, and decisions about a destination, are dense from 1',
  S2: 'one record event for every consumed record, one message for an identity',
  S3: 'every two adjacent events, and decisions about a destination, are a legal transition',
  S4: 'folding the log gives message_states, the counts, the rollups and destinations',
  S5: 'attempts are dense, one open at most, each ends once and in order',
  S6: 'an outcome that changes state is of the open attempt, or accepted late',
  S7: 'after a terminal state only operators, records and late results',
  S8: 'the idempotency key is a function of identity',
  S9: 'nothing starts before it is due; delays, leases and retries are within policy',
  S12: 'every offset below the stored one is a record event, a recorded hole or was given up by an operator',
  S13: 'the bytes kept and sent hash to the bytes received',
  S14: 'every event and decision has an actor, an operator’s also a reason',
  S16: 'recorded time and position never decrease in a message, nor for a destination',
  S17: 'open attempts never exceed what their lane may hold',
  S20: 'every acknowledged record is in the log',
  S21: 'every request has its attempt, every success its one effect',
  S22: 'while its destination does not flow, a failure uses up no retry and exhausts none',
  S23: 'of the attempts that start while a destination is held, one is open at most',
  S24: 'no attempt starts while its destination is paused, nor more in a second than its limit allows',
  S25: 'a replay job appends to its frozen set only, to each message once, and in the name of its operator',
  S26: 'nothing on hold or cancelled is attempted, nothing resolved is replayed, and each decision fits the one before',
  S27: 'nothing that may have been carried out is sent again past the window of its key, unless an operator confirmed that it was not',
  S28: 'where the processor can be asked, nothing that may have been carried out is sent again before it said twice that it does not know it',
  S29: 'the guards of the ground are on: nothing in it can be changed or removed',
} as const

export type InvariantId = keyof typeof rules

export type Difference = { readonly name: string; readonly version: number | null; readonly what: string }

/** Of one invariant, this many differences are named. Further ones are only counted. */
export const namedMax = 20

export class Invariant {
  readonly id: InvariantId
  readonly rule: string
  /** How many things were checked, counted in `unit`. */
  checked = 0
  unit = 'events'
  differences = 0
  readonly named: Difference[] = []
  /** What could not be checked with the given files, or what part was; null if all was checked. */
  limit: string | null = null

  constructor(id: InvariantId) {
    this.id = id
    this.rule = rules[id]
  }

  /**
   * @param name the transaction id of the message, or the name of the record, partition or lane
   * @param version the version of the wrong event; null if it is not about one event
   */
  differ(name: string, version: number | null, what: string): void {
    this.differences += 1
    if (this.named.length < namedMax) this.named.push({ name, version, what })
  }

  /** Counts differences that are not named. */
  differMore(count: number): void {
    this.differences += count
  }
}

export type Invariants = { readonly [Id in InvariantId]: Invariant }

export function createInvariants(): Invariants {
  const ids = Object.keys(rules) as InvariantId[]
  return Object.fromEntries(ids.map((id) => [id, new Invariant(id)])) as unknown as Invariants
}
