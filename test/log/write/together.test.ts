import t from 'tap'
import type { Pool } from 'pg'
import { abandon, findExpired } from '../../../src/log/write/abandon.ts'
import { advanceDestination } from '../../../src/log/write/advance-destination.ts'
import type { Claim } from '../../../src/log/write/to-claim.ts'
import { decideMessage, type MessageDecision } from '../../../src/log/write/decide-message.ts'
import { expunge } from '../../../src/log/write/expunge.ts'
import { ingest } from '../../../src/log/write/ingest.ts'
import { recordInquiry, type Inquiry } from '../../../src/log/write/inquiry.ts'
import { look } from '../../../src/log/write/look.ts'
import { planReplay } from '../../../src/log/write/plan-replay.ts'
import { registerInstance } from '../../../src/log/write/register-instance.ts'
import { replay } from '../../../src/log/write/replay.ts'
import { settle } from '../../../src/log/write/settle.ts'
import {
  pauseDestination,
  resumeDestination,
  setRateLimit,
} from '../../../src/log/write/steer-destination.ts'
import { startReplay, steerJob } from '../../../src/log/write/steer-job.ts'
import { stepJob } from '../../../src/log/write/step-job.ts'
import { backoff } from '../../../src/message/backoff.ts'
import { decide, decideAbandoned } from '../../../src/message/decide.ts'
import type { InquiryAnswer } from '../../../src/message/inquiry.ts'
import type { Outcome } from '../../../src/message/outcome.ts'
import { judge } from '../../../src/message/verdict.ts'
import { verify } from '../../../src/verify/verify.ts'
import { database } from '../../support/database.ts'
import { holdsNothing } from '../../support/flowing.ts'
import { rebuildAll } from '../../support/rebuild.ts'
import { differing } from '../../verify/broken.ts'
import { accepted, newName, record, refused, topic, unavailable, unknown } from '../support.ts'

/** How long the processor remembers a key, and what it did. */
const memoryMs = 900
const sessions = 4
const stepsEach = 300

type Instance = Readonly<{
  name: string
  leaseMs: number
  keyWindowMs: number
  /** Null if it cannot ask. */
  gapMs: number | null
  policy: { retriesMax: number; baseDelayMs: number; maxDelayMs: number }
}>

const instances: readonly Instance[] = [
  ['asks', 250, memoryMs, 30, 2],
  ['sends', 120, memoryMs, null, 1],
  ['careful', 180, 600, 10, 3],
].map(([name, leaseMs, keyWindowMs, gapMs, retriesMax]) => ({
  ...({ name, leaseMs, keyWindowMs, gapMs } as Omit<Instance, 'policy'>),
  policy: { retriesMax: retriesMax as number, baseDelayMs: 10, maxDelayMs: 80 },
}))

const notSent: Outcome = { kind: 'not_sent', reason: 'connection refused' }
const operator = { actor: 'alice', reason: 'because' }
const losesRaces = new Set(['40P01', '40001', '55P03'])

const chance = (share: number): boolean => Math.random() < share
const indexIn = (all: readonly unknown[]): number => Math.floor(Math.random() * all.length)
const one = <Each>(all: readonly Each[]): Each | undefined => all[indexIn(all)]
const takeOne = <Each>(all: Each[]): Each | undefined => all.splice(indexIn(all), 1)[0]

/** Payments and the processor that gets them. It carries a payment out again once it has forgotten its key. */
class World {
  readonly names: string[] = []
  readonly effects = new Map<string, number>()
  readonly open: { instance: Instance; lane: string; claim: Claim; outcome: Outcome }[] = []
  readonly asked: { instance: Instance; inquiry: Inquiry }[] = []
  readonly jobs: string[] = []
  readonly #knownSince = new Map<string, number>()
  /** An operator is saying that these were not carried out. */
  readonly #confirmed = new Set<string>()
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  async step(): Promise<void> {
    const instance = one(instances)!
    const acts: [share: number, act: () => Promise<unknown>][] = [
      [10, () => this.#receive(instance)],
      [30, () => this.#look(instance, chance(0.5) ? 'fresh' : 'retry')],
      [16, () => this.#settle()],
      // A crash, and an inquiry without an end.
      [3, () => Promise.resolve(chance(0.7) ? takeOne(this.open) : takeOne(this.asked))],
      [10, () => this.#takeOver(instance)],
      [9, () => this.#answerInquiry()],
      [8, () => this.#decide()],
      [8, () => this.#replay(instance)],
      [3, () => this.#startJob()],
      [12, () => this.#workJob(instance)],
      [14, () => this.#steer(instance)],
    ]
    let at = Math.random() * acts.reduce((sum, [share]) => sum + share, 0)
    await acts.find(([share]) => (at -= share) < 0)![1]()
  }

  async #receive(instance: Instance): Promise<void> {
    const { name, leaseMs } = instance
    const id = chance(0.2) ? (one(this.names) ?? newName()) : newName()
    this.names.push(id)
    const slice = { topic, partition: this.names.length, incarnation: 1, first: 0n, next: 1n, holes: [] }
    const askedAt = performance.now()
    const answer = await ingest(
      this.#pool,
      { ...slice, records: [record(0, id)] },
      { actor: `${name}/ingest`, lane: `${name}/fresh`, room: chance(0.5) ? 1 : 0, leaseMs },
    )
    if (answer.kind === 'stored') this.#start(instance, 'fresh', answer.claims, askedAt)
  }

  async #look(instance: Instance, lane: 'fresh' | 'retry'): Promise<void> {
    const { leaseMs, keyWindowMs, gapMs } = instance
    const lease = { leaseMs, graceMs: 0, reconnectedAt: '-infinity' }
    const doubt = { keyWindowMs, inquires: gapMs !== null }
    const room = { all: 1 + Math.floor(6 * Math.random()), slow: 2 }
    const actor = `${instance.name}/${lane}`
    const askedAt = performance.now()
    const found = await look(this.#pool, {
      lane,
      actor,
      room,
      lease,
      lookFrom: {},
      withLeases: lane === 'retry',
      doubt,
    })
    this.#start(instance, lane, found.claims, askedAt)
    this.asked.push(...found.inquiries.map((inquiry) => ({ instance, inquiry })))
  }

  /** As a lane does, it sends nothing whose lease is over. */
  #start(instance: Instance, lane: string, claims: readonly Claim[], askedAt: number): void {
    const isLate = performance.now() - askedAt > instance.leaseMs
    for (const claim of claims)
      this.open.push({ instance, lane, claim, outcome: isLate ? notSent : this.#send(claim) })
  }

  #send({ transactionId }: Claim): Outcome {
    const knows = this.#knows(transactionId)
    if (!knows) this.#knownSince.set(transactionId, performance.now())
    const isPaid = knows && this.effects.has(transactionId)
    const drawn = Math.random()
    const acts = drawn < 0.5 && !this.#confirmed.has(transactionId)
    if (acts && !isPaid) this.effects.set(transactionId, (this.effects.get(transactionId) ?? 0) + 1)
    if (acts) return drawn < 0.35 ? accepted : unknown
    if (drawn < 0.65) return unknown
    if (drawn < 0.75) return isPaid ? accepted : refused
    return drawn < 0.9 ? unavailable : notSent
  }

  #knows(transactionId: string): boolean {
    return performance.now() - (this.#knownSince.get(transactionId) ?? -Infinity) <= memoryMs
  }

  /** What is settled only now may have been taken over long ago. */
  async #settle(): Promise<void> {
    const first = takeOne(this.open)
    if (first === undefined) return
    const { instance, lane, claim, outcome } = first
    const { messageId, transactionId, attempt, leaseEndsAt } = claim
    const decision = decide(outcome, claim.retries, instance.policy)
    const verdict = judge(outcome, true, holdsNothing)
    const attemptName = { messageId, transactionId, attempt, leaseEndsAt }
    const durationMs = chance(0.2) ? 2_000 : 5
    await settle(this.#pool, `${instance.name}/${lane}`, [
      { ...attemptName, outcome, durationMs, decision, verdict },
    ])
  }

  async #takeOver({ name, leaseMs, policy }: Instance): Promise<void> {
    const lease = { leaseMs, graceMs: 0, reconnectedAt: '-infinity' }
    const found = await findExpired(this.#pool, lease, '-infinity', 100)
    const ends = found.map((expired) => ({
      expired,
      decision: decideAbandoned(expired.retries, expired.inARow, policy),
    }))
    await abandon(this.#pool, `${name}/retry`, ends, lease)
  }

  /** What it has forgotten it does not find. */
  async #answerInquiry(): Promise<void> {
    const { instance, inquiry } = takeOne(this.asked) ?? {}
    if (instance === undefined || inquiry === undefined) return
    const isPaid = this.#knows(inquiry.transactionId) && this.effects.has(inquiry.transactionId)
    const known = isPaid ? 'carried_out' : 'not_found'
    const answers: InquiryAnswer[] = ['no_answer', 'in_progress', known, known, known, known]
    const given = {
      answer: one(answers)!,
      statusCode: 200,
      reason: 'HTTP 200',
      durationMs: 3,
      verdict: 'none' as const,
    }
    const gapMs = instance.gapMs ?? 0
    const delayMs = Math.max(gapMs, backoff(instance.policy, inquiry.retries, null))
    await recordInquiry(this.#pool, `${instance.name}/retry`, inquiry, { ...given, gapMs, delayMs })
  }

  async #decide(): Promise<void> {
    const kinds = ['hold', 'hold', 'release', 'release', 'cancel', 'resolve', 'reopen', 'expunge'] as const
    const [kind, transactionId] = [one(kinds)!, one(this.names)]
    if (transactionId === undefined) return
    if (kind === 'expunge') {
      if (chance(0.3)) await expunge(this.#pool, { transactionId, ...operator })
      return
    }
    const decision: MessageDecision = kind === 'resolve' ? { kind, as: 'ignored', evidence: null } : { kind }
    await decideMessage(this.#pool, { transactionId, decision, ...operator })
  }

  /** Nobody confirms that a payment was not carried out which was. */
  async #replay({ keyWindowMs, leaseMs }: Instance): Promise<void> {
    const transactionId = one(this.names)
    if (transactionId === undefined) return
    const confirmNotCarriedOut = !this.effects.has(transactionId) && chance(0.3)
    const request = { transactionId, ...operator, requestKey: null, confirmNotCarriedOut }
    if (confirmNotCarriedOut) this.#confirmed.add(transactionId)
    await replay(this.#pool, request, { keyWindowMs, leaseMs })
    this.#confirmed.delete(transactionId)
  }

  async #startJob(): Promise<void> {
    const client = await this.#pool.connect()
    try {
      const plan = await planReplay(client, { filter: {}, given: {}, ...operator })
      if (plan.kind !== 'planned') return
      const how = {
        perSecond: null,
        rampFrom: null,
        stopWhen: null,
        confirmNotCarriedOut: false,
        requestKey: null,
      }
      await startReplay(client, { plan: plan.id, ...operator, ...how })
      this.jobs.push(plan.id)
    } finally {
      client.release()
    }
  }

  async #workJob({ name }: Instance): Promise<void> {
    const job = one(this.jobs.slice(-2))
    if (job === undefined) return
    if (chance(0.1))
      await steerJob(this.#pool, job, { kind: one(['pause', 'resume', 'abort'] as const)! }, operator)
    else await stepJob(this.#pool, job, { actor: `${name}/jobs`, room: 200, leaseMs: 30 })
  }

  async #steer({ name }: Instance): Promise<void> {
    const guard = { holdAfter: 5, brakeAfter: 4, probeEveryMs: 20 }
    const limit = chance(0.3) ? { perSecond: 100, burst: 5 } : null
    const drawn = Math.random()
    if (drawn < 0.7) await advanceDestination(this.#pool, 'default', `${name}/guard`, guard, 60)
    else if (drawn < 0.9) await resumeDestination(this.#pool, 'default', operator)
    else if (drawn < 0.96)
      await pauseDestination(this.#pool, 'default', operator, chance(0.7) ? { inMs: 100 } : null)
    else await setRateLimit(this.#pool, 'default', operator, limit)
  }
}

t.test(
  'whatever instances with other settings, operators, guards and jobs do at once, the log is clean and tells the truth',
  { timeout: 120_000 },
  async (t) => {
    const { pool, url } = await database(t)
    for (const { name, leaseMs, keyWindowMs, gapMs, policy } of instances)
      await registerInstance(pool, {
        instance: name,
        release: 'test',
        freshMax: 1_000,
        retryMax: 1_000,
        leaseMs,
        timeoutMs: 1,
        retry: policy,
        keyWindowMs,
        inquiryGapMs: gapMs,
      })
    const world = new World(pool)
    const walk = async (): Promise<void> => {
      for (let step = 0; step < stepsEach; step++) {
        await world.step().catch((error: unknown) => {
          if (!losesRaces.has((error as { code?: string }).code ?? '')) throw error
        })
      }
    }
    await Promise.all(Array.from({ length: sessions }, walk))

    t.same(differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })), {})
    t.strictSame(await rebuildAll(pool), [])
    const { rows } = await pool.query<{ name: string; status: string; outcome_unknown: boolean }>(
      'select transaction_id as name, status, outcome_unknown from message_states',
    )
    const paid = ({ name }: { name: string }): boolean => world.effects.has(name)
    t.strictSame(
      [...world.effects].filter(([, times]) => times > 1),
      [],
      'nothing is paid twice',
    )
    t.strictSame(
      rows.filter((row) => row.status === 'success' && !paid(row)),
      [],
      'no success without its effect',
    )
    const isUntold = (row: (typeof rows)[0]): boolean =>
      !['success', 'processing'].includes(row.status) && !row.outcome_unknown
    t.strictSame(
      rows.filter((row) => isUntold(row) && paid(row)),
      [],
      'no effect is unknown to the log',
    )
    const successes = rows.filter(({ status }) => status === 'success').length
    t.ok(successes > 5, `${successes} successes`)
  },
)
