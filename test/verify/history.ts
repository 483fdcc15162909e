import { createHash } from 'node:crypto'
import type { Pool } from 'pg'
import { abandon, findExpired } from '../../src/log/write/abandon.ts'
import type { Claim } from '../../src/log/write/claim.ts'
import { decidePartition } from '../../src/log/write/decide-partition.ts'
import { ingest, type DecodedRecord } from '../../src/log/write/ingest.ts'
import { look } from '../../src/log/write/look.ts'
import { registerInstance } from '../../src/log/write/register-instance.ts'
import { replay } from '../../src/log/write/replay.ts'
import { settle, type SettleAnswer } from '../../src/log/write/settle.ts'
import { stopPartition } from '../../src/log/write/stop-partition.ts'
import { decide, decideAbandoned } from '../../src/message/decide.ts'
import { idempotencyKey } from '../../src/message/idempotency-key.ts'
import type { Lane } from '../../src/message/message.ts'
import type { Outcome } from '../../src/message/outcome.ts'

export const topic = 'transactions.incoming'
const policy = { retriesMax: 2, baseDelayMs: 20, maxDelayMs: 60 }

const hourMs = 3_600_000

/** An instance whose leases are over by the time that anybody asks, one whose leases outlive the test, and one whose retries do too. */
const leases = { hasty: 1, steady: 600_000, patient: 600_000 } as const
export type Instance = keyof typeof leases

function policyOf(instance: Instance): typeof policy {
  return instance === 'patient' ? { ...policy, baseDelayMs: hourMs, maxDelayMs: hourMs } : policy
}

export const accepted: Outcome = { kind: 'accepted', statusCode: 200 }
export const refused: Outcome = { kind: 'refused', statusCode: 422, reason: 'HTTP 422' }
export const unavailable: Outcome = {
  kind: 'unavailable',
  statusCode: 503,
  reason: 'HTTP 503',
  retryAfterMs: null,
}
const unknown: Outcome = { kind: 'unknown', statusCode: null, reason: 'no answer in time' }

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
        from,
        next,
        records: decoded,
        holes: hole === 0n ? [] : [{ from, next: first }],
      },
      `${instance}/ingest`,
      `${instance}/fresh`,
      room,
      leases[instance],
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
  async claim(lane: Lane, instance: Instance = 'steady'): Promise<Claim> {
    for (;;) {
      const { claims } = await look(this.#pool, lane, `${instance}/${lane}`, 1, lease(instance), {}, false)
      if (claims[0] !== undefined) return claims[0]
    }
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
  async deliver(claim: Claim, outcome: Outcome, lane: Lane = 'fresh', instance: Instance = 'steady') {
    this.request(claim, outcome.kind === 'accepted')
    return this.settle(claim, outcome, lane, instance)
  }

  async settle(
    claim: Claim,
    outcome: Outcome,
    lane: Lane,
    instance: Instance = 'steady',
  ): Promise<SettleAnswer | undefined> {
    const decision = decide(outcome, claim.retries, policyOf(instance))
    const settlement = {
      ...claim,
      outcome,
      durationMs: 3,
      decision,
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

  async replay(transactionId: string): Promise<void> {
    await replay(this.#pool, {
      transactionId,
      actor: 'alice',
      reason: 'the processor was repaired',
      requestKey: null,
    })
  }
}

/**
 * Every type of event, and every road that a message can take. Each message is named after its fate.
 */
export async function writeHistory(pool: Pool): Promise<History> {
  const history = await History.begin(pool)
  await writeFresh(history)
  await writeRetried(history)
  await writeAbandoned(history)
  await writeLate(history)
  await writeRefusedRecords(history)
  return history
}

async function writeFresh(history: History): Promise<void> {
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
