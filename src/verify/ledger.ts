import { decodeKey, digest, encodeKey } from './idempotency-key.ts'
import { namedMax, type Invariants } from './invariants.ts'
import { readJsonLines, readLineAt } from './read-json-lines.ts'
import { LostWindows } from './lost-windows.ts'
import { nameOf, type Message } from './message.ts'
import { RequestTable, type Requests } from './request-table.ts'

const file = 'The ledger'

// The processor's clock and the database's clock may differ a little.
const clockToleranceMicros = 1_000_000

type Line = { at: number; key: string | null; transactionId: string | null; sha256: string; effect: boolean }

/** S21, and what the ledger shows about S8 and S13: compares each request that the processor saw with the attempts in the log. */
export class Ledger {
  readonly #path: string
  readonly #invariants: Invariants
  readonly #table = new RequestTable()
  #windows = new LostWindows([])
  #end = 0
  #openEffects = 0
  #lostRequests = 0

  constructor(path: string, invariants: Invariants) {
    this.#path = path
    this.#invariants = invariants
  }

  /** Reads what is there before the snapshot of the log is taken: the attempt of each of these requests is in the snapshot. */
  read(): void {
    this.#end = readJsonLines(this.#path, file, 0, parseLine, (line, at) => this.#add(line, at))
  }

  /**
   * Reads what came until after the snapshot was taken: the processor writes an effect before it answers, so the effect of each
   * success is there.
   */
  readOn(): void {
    readJsonLines(this.#path, file, this.#end, parseLine, (line) => {
      const identity = identityOf(line)
      if (line.effect && identity !== null) this.#table.addLaterEffect(identity)
    })
  }

  /** Takes in what the log has lost. Call it before any message is checked. */
  explainBy(windows: LostWindows): void {
    this.#windows = windows
  }

  /** Call it for every message when all its events were read. */
  check(message: Message, identity: Buffer): void {
    const entry = this.#table.find(identity)
    if (entry === null) {
      this.#checkEffect(message, null)
      return
    }
    this.#table.markFound(entry)
    const requests = this.#table.read(entry)
    this.#checkEffect(message, requests)
    if (requests.times.length === 0) return
    const { S13 } = this.#invariants
    const name = nameOf(message)
    S13.checked++
    if (requests.hasOtherBytes) S13.differ(name, null, 'its requests did not all carry the same bytes')
    if (message.payloadSha256 === null || !this.#table.hasBytes(entry, message.payloadSha256))
      S13.differ(name, null, 'the bytes sent do not have the hash of the bytes received')
    this.#checkRequests(message, requests)
  }

  /**
   * Call it when the whole log was read.
   *
   * @returns the number of effects of attempts that are still open, and of requests of attempts that the log has lost
   */
  finish(): { openEffects: number; lostRequests: number } {
    const { S21 } = this.#invariants
    S21.checked += this.#table.requests
    for (const entry of this.#table.strays()) {
      const { times } = this.#table.read(entry)
      if (times.every((at) => this.#windows.contain(at))) this.#lostRequests += times.length
      else if (S21.named.length === namedMax) S21.differMore(1)
      else
        S21.differ(
          this.#nameLine(this.#table.read(entry).line),
          null,
          'was requested, but the log has no such message',
        )
    }
    return { openEffects: this.#openEffects, lostRequests: this.#lostRequests }
  }

  #add(line: Line, at: number): void {
    const { S8, S21 } = this.#invariants
    const name = line.transactionId ?? `key ${line.key}`
    const identity = identityOf(line)
    S8.checked++
    if (line.key === null) S8.differ(name, null, `a request without a key at byte ${at} of the ledger`)
    else if (line.transactionId !== null && identity !== null && line.key !== encodeKey(identity))
      S8.differ(name, null, `was sent under the key ${line.key}`)
    if (identity !== null) this.#table.add(identity, line.sha256, line.at, line.effect, at)
    else S21.differ(name, null, `a request without an identity at byte ${at} of the ledger`)
  }

  #checkEffect(message: Message, requests: Requests | null): void {
    const { S21 } = this.#invariants
    const name = nameOf(message)
    const hasEffect = requests?.hasEffect === true
    if (message.accepted && !hasEffect && requests?.hasLaterEffect !== true)
      S21.differ(name, null, 'was accepted, and the ledger has no effect')
    if (requests?.hasEffects === true) S21.differ(name, null, 'has more than one effect')
    if (!hasEffect || message.status === 'success' || message.effectMayDiffer) return
    if (message.open !== null) this.#openEffects++
    // The effect may belong to an attempt that the log has lost. The payment will be sent again, under the same key.
    else if (message.status !== 'dead_letter' && requests.times.some((at) => this.#windows.contain(at)))
      return
    else
      S21.differ(
        name,
        null,
        `has an effect, but is ${message.status}, and no attempt was unknown, abandoned or late`,
      )
  }

  #checkRequests(message: Message, { times }: Requests): void {
    if (haveAttempts(times, message.startedAt)) return
    // Some requests belong to attempts that the log has lost. The others must have their attempts all the same.
    const kept = times.filter((at) => !this.#windows.contain(at))
    if (kept.length < times.length && haveAttempts(kept, message.startedAt))
      this.#lostRequests += times.length - kept.length
    else this.#differ(message, times)
  }

  #differ(message: Message, times: readonly number[]): void {
    const { S21 } = this.#invariants
    const { startedAt } = message
    const name = nameOf(message)
    if (times.length > startedAt.length) {
      S21.differ(name, null, `${times.length} requests, but ${startedAt.length} attempts were started`)
      return
    }
    const early = findEarly(times, startedAt)
    S21.differ(name, null, `request ${early + 1} came before attempt ${early + 1} was started`)
  }

  #nameLine(at: number): string {
    const line = parseLine(JSON.parse(readLineAt(this.#path, file, at)))
    return line?.transactionId ?? `key ${line?.key}`
  }
}

function haveAttempts(times: readonly number[], startedAt: readonly number[]): boolean {
  return times.length <= startedAt.length && findEarly(times, startedAt) < 0
}

/** Returns the first request that came before the attempt with the same number was started; -1 if there is none. */
function findEarly(times: readonly number[], startedAt: readonly number[]): number {
  return times.findIndex((at, nth) => at + clockToleranceMicros < (startedAt[nth] ?? Infinity))
}

/**
 * Finds the identity by the transaction id in the body, so that a wrong key is reported as a wrong key; without one, by the
 * key.
 */
function identityOf(line: Line): Buffer | null {
  if (line.transactionId !== null) return digest(line.transactionId)
  return line.key === null ? null : decodeKey(line.key)
}

function parseLine(value: unknown): Line | null {
  if (value === null || typeof value !== 'object') return null
  const { at, key, transaction_id, sha256, effect } = value as Record<string, unknown>
  const atMs = typeof at === 'string' ? Date.parse(at) : NaN
  if (Number.isNaN(atMs) || typeof effect !== 'boolean') return null
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return null
  if (!isTextOrNull(key) || !isTextOrNull(transaction_id)) return null
  return { at: atMs * 1_000, key, transactionId: transaction_id, sha256, effect }
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}
