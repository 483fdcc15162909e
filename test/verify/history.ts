import { createHash } from 'node:crypto'
import type { Pool } from 'pg'
import { abandon, findExpired } from '../../src/log/write/abandon.ts'
import type { Claim } from '../../src/log/write/to-claim.ts'
import {
  advanceDestination,
  type DestinationState,
  type GuardPolicy,
} from '../../src/log/write/advance-destination.ts'
import { decideMessage, type MessageDecision } from '../../src/log/write/decide-message.ts'
import { decidePartition } from '../../src/log/write/decide-partition.ts'
import { expunge } from '../../src/log/write/expunge.ts'
import { ingest, type DecodedRecord } from '../../src/log/write/ingest.ts'
import { recordInquiry } from '../../src/log/write/inquiry.ts'
import { look, type Look } from '../../src/log/write/look.ts'
import { registerInstance } from '../../src/log/write/register-instance.ts'
import { replay } from '../../src/log/write/replay.ts'
import { settle, type SettleAnswer } from '../../src/log/write/settle.ts'
import { stopPartition } from '../../src/log/write/stop-partition.ts'
import { decide, decideAbandoned, type Decision } from '../../src/message/decide.ts'
import { idempotencyKey } from '../../src/message/idempotency-key.ts'
import type { InquiryAnswer } from '../../src/message/inquiry.ts'
import type { LaneName } from '../../src/message/message.ts'
import type { Outcome } from '../../src/message/outcome.ts'
import { judge } from '../../src/message/verdict.ts'
import { holdsNothing } from '../support/flowing.ts'

export const topic = 'transactions.incoming'
const policy = { retriesMax: 2, baseDelayMs: 20, maxDelayMs: 60 }

const hourMs = 3_600_000
/** How long `asking` waits before it asks for the second time. */
const gapMs = 5

/** An instance whose leases are over by the time that anybody asks, one whose leases outlive the test, one whose retries do too, and one
 * whose processor forgets keys at once. */
const leases = { hasty: 1, steady: 600_000, patient: 600_000, forgetful: 1, asking: 600_000 } as const
export type Instance = keyof typeof leases

function policyOf(instance: Instance): typeof policy {
  return instance === 'patient' ? { ...policy, baseDelayMs: hourMs, maxDelayMs: hourMs } : policy
}

function keyWindowOf(instance: Instance): number | null {
  return instance === 'forgetful' ? 0 : 24 * hourMs
}

export const accepted: Outcome = { kind: 'accepted', statusCode: 200, reference: { text: 'paid' } }
export const refused: Outcome = {
  kind: 'refused',
  statusCode: 422,
  reason: 'HTTP 422',
  reference: { text: 'not paid' },
}
export const unavailable: Outcome = {
  kind: 'unavailable',
  statusCode: 503,
  reason: 'HTTP 503',
  retryAfterMs: null,
}
export const unknown: Outcome = { kind: 'unknown', statusCode: null, reason: 'no answer in time' }

/** Nobody knows the outcome, and the status is not retried. */
const unknownForGood: Outcome = {
  kind: 'unknown',
  statusCode: 500,
  reason: 'HTTP 500',
  answer: { isRetried: false },
}

/** What counts does not hold the destination. */
const never = { holdAfter: 0, brakeAfter: 0 }

type Slicing = { instance?: Instance; room?: number; hole?: bigint; partition?: number }

/** Writes a log the way that the service does, through its own write functions, and keeps the two files beside it. */
export class History {
  readonly ledger: string[] = []
  readonly acks: string[] = []
  readonly #pool: Pool
  readonly #offsets = new Map<number, bigint>()
  readonly #incarnations = new Map<number, number>()

  private constructor(pool: Pool) {
    this.#pool = pool
  }

  static async begin(pool: Pool): Promise<History> {
    for (const instance of Object.keys(leases) as Instance[]) {
      await registerInstance(pool, {
        instance,
        release: 'test',
        freshMax: 3,
        retryMax: 2,
        leaseMs: leases[instance],
        timeoutMs: 1,
        retry: policyOf(instance),
        keyWindowMs: keyWindowOf(instance),
        inquiryGapMs: instance === 'asking' ? gapMs : null,
      })
    }
    return new History(pool)
  }

  /** Takes records from Kafka, after a hole of so many offsets, and starts what `room` allows. */
  async receive(
    records: (string | Partial<DecodedRecord>)[],
    { instance = 'steady', room = 0, hole = 0n, partition = 0 }: Slicing = {},
  ): Promise<Claim[]> {
    const from = this.#offsets.get(partition) ?? 0n
    const first = from + hole
    const next = first + BigInt(records.length)
    this.#offsets.set(partition, next)
    const incarnation = this.#incarnations.get(partition) ?? 1
    const decoded = records.map((each, at) => record(each, partition, first + BigInt(at), incarnation))
    const answer = await ingest(
      this.#pool,
      {
        topic,
        partition,
        incarnation,
        first: from,
        next,
        records: decoded,
        holes: hole === 0n ? [] : [{ first: from, next: first }],
      },
      { actor: `${instance}/ingest`, lane: `${instance}/fresh`, room, leaseMs: leases[instance] },
    )
    if (answer.kind !== 'stored') throw new Error(`the slice was not stored: ${answer.kind}`)
    for (const each of decoded) this.acknowledge(each.transactionId, partition, each.offset, each.sha256)
    return answer.claims
  }

  acknowledge(transactionId: string, partition: number, offset: bigint, sha256: Buffer): void {
    this.acks.push(
      JSON.stringify({
        topic,
        partition,
        offset: Number(offset),
        transaction_id: transactionId,
        sha256: sha256.toString('hex'),
      }),
    )
  }

  /** Claims the one message that is due, as soon as it is. */
  async claim(lane: LaneName, instance: Instance = 'steady'): Promise<Claim> {
    for (;;) {
      const { claims } = await this.#look(lane, instance)
      if (claims[0] !== undefined) return claims[0]
    }
  }

  /** Claims the message that is due, if the destination lets it through and its key is remembered. */
  async tryClaim(lane: LaneName, instance: Instance = 'steady'): Promise<Claim | undefined> {
    return (await this.#look(lane, instance)).claims[0]
  }

  /** Finds the one message that is due, as soon as it is, and gives it up because its key may be forgotten. */
  async forget(lane: LaneName): Promise<void> {
    for (;;) {
      const { claims, forgotten } = await this.#look(lane, 'forgetful')
      if (claims.length > 0) throw new Error('it was sent again')
      if (forgotten.length > 0) return
    }
  }

  /** Asks about the one message that is due, as soon as it is, and records the answer. */
  async ask(lane: LaneName, answer: InquiryAnswer): Promise<void> {
    for (;;) {
      const [inquiry] = (await this.#look(lane, 'asking')).inquiries
      if (inquiry === undefined) continue
      const result = {
        answer,
        statusCode: 200,
        reason: 'HTTP 200 OK',
        durationMs: 3,
        verdict: 'none' as const,
        reference: answer === 'carried_out' ? { text: 'asked' } : null,
      }
      await recordInquiry(this.#pool, `asking/${lane}`, inquiry, { ...result, gapMs, delayMs: 1 })
      return
    }
  }

  #look(lane: LaneName, instance: Instance): Promise<Look> {
    const room = { all: 1, slow: 1 }
    const actor = `${instance}/${lane}`
    return look(this.#pool, {
      lane,
      actor,
      room,
      lease: lease(instance),
      lookFrom: {},
      withLeases: false,
      doubt: {
        keyWindowMs: keyWindowOf(instance),
        inquires: instance === 'asking',
      },
    })
  }

  /**
   * Has the guard decide what is due, until the destination is in a state. One failure or refusal in a row is enough for it, probes follow
   * each other at once, and a ramp is over as soon as it is looked at.
   */
  async guard(state: DestinationState, policy: Partial<GuardPolicy> = {}): Promise<void> {
    for (;;) {
      const decides = { holdAfter: 1, brakeAfter: 0, probeEveryMs: 1, ...policy }
      const view = await advanceDestination(this.#pool, 'default', 'steady/guard', decides, 0)
      if (view.state === state) return
    }
  }

  /** An operator pauses the destination, for so many milliseconds if it is said. */
  async pause(ms: number | null = null): Promise<void> {
    await this.#pool.query(
      `select pause_destination('default', 'alice', 'the processor is being repaired',
        clock_timestamp() + $1 * interval '1 ms')`,
      [ms],
    )
  }

  async limit(perSecond: number, burst: number): Promise<void> {
    await this.#pool.query(`select set_rate_limit('default', 'alice', 'a slow night', 'rate', $1, $2)`, [
      perSecond,
      burst,
    ])
  }

  async resume(): Promise<void> {
    await this.#pool.query(`select resume_destination('default', 'alice', 'the processor was repaired')`)
  }

  /** What the processor writes down of one request. */
  request(claim: Claim, effect: boolean, status = effect ? 200 : 503): void {
    this.ledger.push(
      JSON.stringify({
        at: new Date().toISOString(),
        key: idempotencyKey(claim.transactionId),
        transaction_id: claim.transactionId,
        sha256: sha256(claim.payload).toString('hex'),
        effect,
        status,
      }),
    )
  }

  /** Sends the claim and brings its outcome into the log. */
  async deliver(claim: Claim, outcome: Outcome, lane: LaneName = 'fresh', instance: Instance = 'steady') {
    this.request(claim, outcome.kind === 'accepted')
    return this.settle(claim, outcome, lane, instance)
  }

  async settle(
    claim: Claim,
    outcome: Outcome,
    lane: LaneName,
    instance: Instance = 'steady',
    unsentDelayMs: number | null = null,
  ): Promise<SettleAnswer | undefined> {
    const decision: Decision =
      unsentDelayMs === null
        ? decide(outcome, claim.retries, policyOf(instance))
        : { then: 'retry', delayMs: unsentDelayMs }
    const settlement = {
      ...claim,
      outcome,
      durationMs: unsentDelayMs === null ? 3 : null,
      decision,
      verdict: judge(outcome, unsentDelayMs === null, holdsNothing),
    }
    return (await settle(this.#pool, `${instance}/${lane}`, [settlement]))[0]
  }

  /** Abandons the claim once its lease has ended. */
  async abandon(claim: Claim): Promise<void> {
    for (;;) {
      const found = await findExpired(this.#pool, lease('steady'), '-infinity', 10)
      const expired = found.find((each) => each.messageId === claim.messageId)
      if (expired === undefined) continue
      const decision = decideAbandoned(expired.retries, expired.inARow, policy)
      await abandon(this.#pool, 'steady/retry', [{ expired, decision }], lease('steady'))
      return
    }
  }

  /** The partition stops, and an operator gives up so many offsets. */
  async giveUp(partition: number, count: bigint): Promise<void> {
    const next = await this.#stop(partition, count)
    const range = { low: next + count, high: next + count }
    await decidePartition(this.#pool, { ...this.#word(partition), type: 'gap_accepted', range })
    this.#offsets.set(partition, next + count)
  }

  /** The partition stops, and an operator says that the topic was created anew; the broker's first offset is `low`. */
  async beginIncarnation(partition: number, low: bigint): Promise<void> {
    await this.#stop(partition, null)
    const range = { low, high: low }
    await decidePartition(this.#pool, { ...this.#word(partition), type: 'incarnation_begun', range })
    this.#offsets.set(partition, low)
    this.#incarnations.set(partition, (this.#incarnations.get(partition) ?? 1) + 1)
  }

  async #stop(partition: number, count: bigint | null): Promise<bigint> {
    const next = this.#offsets.get(partition) ?? 0n
    const stop = {
      topic,
      partition,
      incarnation: this.#incarnations.get(partition) ?? 1,
      next,
      resume: count === null ? null : next + count,
      reason: 'records are missing',
    }
    await stopPartition(this.#pool, stop, 'steady/ingest')
    return next
  }

  #word(partition: number) {
    return { topic, partition, actor: 'alice', reason: 'the archive has them' }
  }

  async expunge(transactionId: string): Promise<void> {
    await expunge(this.#pool, { transactionId, actor: 'alice', reason: 'asked to be forgotten' })
  }

  /** An operator decides about a message. */
  async decide(transactionId: string, decision: MessageDecision | 'hold' | 'release' | 'cancel' | 'reopen') {
    const answer = await decideMessage(this.#pool, {
      transactionId,
      decision: typeof decision === 'string' ? { kind: decision } : decision,
      actor: 'alice',
      reason: 'the bank asked for it',
    })
    if (answer.kind !== 'decided') throw new Error(`nothing was decided: ${answer.kind}`)
  }

  async replay(transactionId: string, confirmNotCarriedOut = false): Promise<void> {
    const request = { transactionId, actor: 'alice', reason: 'the processor was repaired', requestKey: null }
    const window = { keyWindowMs: confirmNotCarriedOut ? 0 : null, leaseMs: 0 }
    await replay(this.#pool, { ...request, confirmNotCarriedOut }, window)
  }
}

/**
 * Every type of event, and every road that a message can take. Each message is named after its fate.
 */
export async function writeHistory(pool: Pool): Promise<History> {
  const history = await History.begin(pool)
  // Nothing else may be due meanwhile.
  await writeForgotten(history)
  await writeAsked(history)
  await writeFresh(history)
  await writeRetried(history)
  await writeAbandoned(history)
  await writeLate(history)
  await writeHeld(history)
  await writePaused(history)
  await writeRefusedRecords(history)
  await writeExpunged(history)
  await writeDecided(history)
  return history
}

async function writeFresh(history: History): Promise<void> {
  const [doubtful] = await history.receive(['in doubt'], { room: 1, partition: 4 })
  await history.deliver(doubtful!, unknownForGood)
  const [delivered, tried, failed] = await history.receive(['delivered', 'refused', 'replayed', 'waiting'], {
    room: 3,
  })
  await history.deliver(delivered!, accepted)
  await history.deliver(tried!, refused)
  await history.deliver(failed!, refused)
  await history.replay('replayed')
  const waiting = await history.claim('fresh')
  await history.deliver(waiting, accepted)
  const again = await history.claim('fresh')
  await history.deliver(again, unavailable)
  await history.deliver(await history.claim('retry'), accepted, 'retry')
}

async function writeRetried(history: History): Promise<void> {
  const [told, exhausted] = await history.receive(['told to wait', 'exhausted'], { room: 2, hole: 2n })
  await history.deliver(told!, {
    kind: 'unavailable',
    statusCode: 429,
    reason: 'HTTP 429',
    retryAfterMs: 1_000,
  })
  await history.deliver(exhausted!, unavailable)
  for (let ends = 0; ends < 3; ends++) {
    const claim = await history.claim('retry')
    await history.deliver(claim, claim.transactionId === 'told to wait' ? accepted : unknown, 'retry')
  }
}

async function writeAbandoned(history: History): Promise<void> {
  const [claim] = await history.receive(['abandoned'], { instance: 'hasty', room: 1, partition: 1 })
  history.request(claim!, false)
  await history.abandon(claim!)
  // The second in a row waits its backoff, and the third is the last.
  for (let ends = 0; ends < 2; ends++) await history.abandon(await history.claim('retry', 'hasty'))
}

async function writeLate(history: History): Promise<void> {
  const claims = await history.receive(['superseded', 'late failure', 'late from the grave'], {
    instance: 'hasty',
    room: 3,
  })
  for (const claim of claims) await history.abandon(claim)
  const [superseded, failure, grave] = claims
  const open = await history.claim('retry')
  history.request(superseded!, true)
  await history.settle(superseded!, accepted, 'fresh', 'hasty')
  // Its own answer comes after it was abandoned as superseded.
  await history.settle(open, unavailable, 'retry')
  await history.settle(failure!, unavailable, 'fresh', 'hasty')
  await history.deliver(await history.claim('retry'), accepted, 'retry')
  await history.deliver(await history.claim('retry'), refused, 'retry')
  history.request(grave!, true)
  await history.settle(grave!, accepted, 'fresh', 'hasty')
}

/** The guard holds the destination, probes it and lets payments flow again. What fails meanwhile uses up no retry. */
async function writeHeld(history: History): Promise<void> {
  const at = { partition: 3, room: 3 }
  const [trips, spared, inFlight] = await history.receive(['trips', 'spared', 'in flight'], at)
  const [lost] = await history.receive(['lost in a hold'], { ...at, instance: 'hasty' })
  history.request(lost!, false)
  await history.deliver(trips!, unavailable)
  await history.guard('held')
  await history.deliver(spared!, unavailable)
  await history.deliver(inFlight!, accepted)
  await history.abandon(lost!)
  // Two probes fail, by a lease that ends and by no answer.
  await history.abandon(await history.claim('retry', 'hasty'))
  await history.deliver(await history.claim('retry'), unknown, 'retry')
  for (let probes = 0; probes < 3; probes++)
    await history.deliver(await history.claim('retry'), accepted, 'retry')
  await history.guard('ramping')
  await history.receive(['ramped'], at)
  await history.deliver(await history.claim('fresh'), unavailable)
  await history.guard('flowing', never)
  await history.deliver(await history.claim('retry'), accepted, 'retry')
}

/** An operator pauses the destination while payments are at their last attempt, and it flows again. */
async function writePaused(history: History): Promise<void> {
  const at = { partition: 3, room: 1 }
  const kept = await exhaust(history, 'kept')
  const abandoned = await exhaust(history, 'kept too', 'hasty')
  const [other, doubtful] = await history.receive(['refused in a pause', 'in doubt in a pause'], {
    ...at,
    room: 2,
  })
  history.request(abandoned, false)
  await history.pause()
  await history.deliver(kept, unknown, 'retry')
  await history.abandon(abandoned)
  await history.deliver(other!, refused)
  await history.deliver(doubtful!, unknownForGood)
  await history.receive(['received in a pause'], at)
  await history.resume()
  await history.guard('flowing', never)
  await history.deliver(await history.claim('fresh'), accepted)
  for (let claims = 0; claims < 2; claims++)
    await history.deliver(await history.claim('retry'), unavailable, 'retry')
  // A pause that ends by itself, a brake, and a hold that an operator pauses.
  await history.pause(20)
  await history.guard('ramping')
  await history.guard('flowing', never)
  const [braked] = await history.receive(['braked'], at)
  await history.deliver(braked!, refused)
  await history.guard('held', { holdAfter: 0, brakeAfter: 1 })
  await history.pause()
  await history.resume()
  await history.guard('flowing', never)
}

/** Receives a payment, uses up its retries and starts its last attempt. */
async function exhaust(history: History, name: string, instance: Instance = 'steady'): Promise<Claim> {
  const [first] = await history.receive([name], { partition: 3, room: 1 })
  await history.deliver(first!, unavailable)
  await history.deliver(await history.claim('retry'), unavailable, 'retry')
  return history.claim('retry', instance)
}

async function writeRefusedRecords(history: History): Promise<void> {
  const empty = {
    payload: null,
    payloadState: 'absent',
    payloadBytes: 0,
    sha256: sha256(Buffer.alloc(0)),
  } as const
  const large = Buffer.alloc(70_000, 'x')
  const cut = { payload: large.subarray(0, 65_536), payloadState: 'cut', payloadBytes: 70_000 } as const
  await history.receive([
    'delivered',
    { transactionId: 'delivered', payload: Buffer.from('{"transaction_id":"delivered","amount":1}') },
    { ...empty, rejection: 'The record has no value.' },
    { ...cut, sha256: sha256(large), rejection: 'The value has 70000 bytes; 65536 are allowed.' },
    { payload: Buffer.from('not json'), rejection: 'The value is not JSON.' },
  ])
  // A conflict with a message that has nothing yet but its version 1, in one slice.
  await history.receive([
    'twin',
    { transactionId: 'twin', payload: Buffer.from('{"transaction_id":"twin" }') },
    'twin',
  ])
}

async function writeExpunged(history: History): Promise<void> {
  const at = { room: 1, partition: 2 }
  const forgotten = { transactionId: 'forgotten', key: Buffer.from('customer 7') }
  const [delivered] = await history.receive([forgotten], at)
  await history.receive([forgotten], at)
  await history.deliver(delivered!, accepted)
  const [letter] = await history.receive(['forgotten letter'], at)
  await history.deliver(letter!, refused)
  await history.expunge('forgotten')
  await history.expunge('forgotten letter')
  const other = {
    transactionId: 'forgotten',
    payload: Buffer.from('{"transaction_id":"forgotten","amount":1}'),
  }
  await history.receive([forgotten, other], at)
}

/** Operators hold, release, cancel, resolve and reopen. */
async function writeDecided(history: History): Promise<void> {
  const at = { room: 1, partition: 4 }
  const resolve = { kind: 'resolve', as: 'duplicate', evidence: 'statement 7' } as const
  await history.receive(['kept on hold'], { partition: 4 })
  await history.decide('kept on hold', 'hold')
  const [held] = await history.receive(['held between'], at)
  await history.deliver(held!, unavailable)
  await history.decide('held between', 'hold')
  await history.receive(['held between'], at)
  await history.decide('held between', 'release')
  await history.deliver(await history.claim('retry'), accepted, 'retry')
  await history.receive(['cancelled'], { partition: 4 })
  await history.decide('cancelled', 'hold')
  await history.decide('cancelled', 'cancel')
  const [waits] = await history.receive(['cancelled and replayed'], at)
  await history.deliver(waits!, unavailable)
  await history.decide('cancelled and replayed', 'cancel')
  await history.replay('cancelled and replayed')
  await history.decide('cancelled and replayed', 'cancel')
  for (const name of ['resolved', 'reopened']) {
    const [letter] = await history.receive([name], at)
    await history.deliver(letter!, refused)
    await history.decide(name, resolve)
  }
  await history.decide('reopened', 'reopen')
  await history.decide('reopened', { kind: 'resolve', as: 'ignored', evidence: null })
  await history.decide('reopened', 'reopen')
  await history.replay('reopened')
  await history.decide('reopened', 'cancel')
  // A late acceptance ends a hold and a resolution.
  const late = await history.receive(['late on hold', 'late when resolved'], {
    ...at,
    room: 2,
    instance: 'hasty',
  })
  for (const claim of late) await history.abandon(claim)
  const lateNames = new Set<string>(late.map(({ transactionId }) => transactionId))
  while (lateNames.size > 0) {
    // Others may be due too.
    const claim = await history.claim('retry')
    const isResolved = claim.transactionId === 'late when resolved'
    await history.deliver(claim, isResolved ? refused : unavailable, 'retry')
    lateNames.delete(claim.transactionId)
  }
  await history.decide('late on hold', 'hold')
  await history.decide('late when resolved', resolve)
  for (const claim of late) {
    history.request(claim, true)
    await history.settle(claim, accepted, 'fresh', 'hasty')
  }
}

/** A processor forgets the keys of payments that it may have carried out. */
async function writeForgotten(history: History): Promise<void> {
  const at = { room: 1, partition: 5 }
  const [claim] = await history.receive(['forgotten key'], at)
  await history.deliver(claim!, unknown)
  await history.forget('retry')
  await history.replay('forgotten key', true)
  await history.deliver(await history.claim('fresh', 'forgetful'), unavailable, 'fresh', 'forgetful')
  await history.deliver(await history.claim('retry', 'forgetful'), unknown, 'retry', 'forgetful')
  await history.forget('retry')
  await history.replay('forgotten key')
  await history.forget('fresh')
}

/** The processor is asked about payments before they are sent again. */
async function writeAsked(history: History): Promise<void> {
  const at = { room: 1, partition: 6 }
  for (const [name, answers] of [
    ['asked and carried out', ['no_answer', 'in_progress', 'carried_out']],
    ['asked and refused', ['not_found', 'refused']],
    ['asked and not found', ['not_found', 'in_progress', 'not_found', 'not_found']],
  ] as const) {
    const [claim] = await history.receive([name], at)
    history.request(claim!, name === 'asked and carried out')
    await history.settle(claim!, unknown, 'fresh')
    for (const answer of answers) await history.ask('retry', answer)
  }
  // A failure that leaves no doubt asks for nothing.
  await history.deliver(await history.claim('retry', 'asking'), unavailable, 'retry', 'asking')
  await history.deliver(await history.claim('retry', 'asking'), accepted, 'retry', 'asking')
  // A replay begins the count anew, at once, and a hold keeps the gap.
  const [claim] = await history.receive(['asked and replayed'], at)
  await history.settle(claim!, unknown, 'fresh')
  await history.ask('retry', 'not_found')
  await history.decide('asked and replayed', 'cancel')
  await history.replay('asked and replayed')
  await history.ask('fresh', 'not_found')
  await history.decide('asked and replayed', 'hold')
  await history.decide('asked and replayed', 'release')
  await history.ask('fresh', 'not_found')
  await history.deliver(await history.claim('fresh', 'asking'), accepted, 'fresh', 'asking')
}

function record(
  given: string | Partial<DecodedRecord>,
  partition: number,
  offset: bigint,
  incarnation: number,
): DecodedRecord {
  const part: Partial<DecodedRecord> = typeof given === 'string' ? { transactionId: given } : given
  const payload = Buffer.from(JSON.stringify({ transaction_id: part.transactionId, amount: 12.5 }))
  const whole = {
    offset,
    timestampMs: null,
    key: null,
    headers: null,
    traceparent: null,
    payload,
    payloadState: 'whole' as const,
    isJson: part.rejection === undefined,
    transactionId: `record:${topic}:${partition}:${offset}${incarnation === 1 ? '' : `:${incarnation}`}`,
    rejection: null,
    ...part,
  }
  const bytes = whole.payload ?? Buffer.alloc(0)
  return { payloadBytes: bytes.length, sha256: sha256(bytes), ...whole }
}

function lease(instance: Instance) {
  return { leaseMs: leases[instance], graceMs: 0, reconnectedAt: '-infinity' }
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
