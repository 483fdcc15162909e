import { randomUUID } from 'node:crypto'
import { errorCode, type ErrorCode } from './error-code.ts'

export interface JoinRequest {
  memberId: string
  clientId: string
  clientHost: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocolType: string
  protocols: { name: string; metadata: Buffer }[]
  /**
   * Whether a new member first gets its id and must join again with it (KIP-394), so that a lost answer
   * leaves no unused member behind.
   */
  invite: boolean
}

export interface JoinAnswer {
  error: ErrorCode
  generation: number
  protocol: string
  leaderId: string
  memberId: string
  members: { memberId: string; metadata: Buffer }[]
}

export interface SyncAnswer {
  error: ErrorCode
  assignment: Buffer
}

export interface Member {
  id: string
  clientId: string
  clientHost: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocols: { name: string; metadata: Buffer }[]
  assignment: Buffer
  /** Set while the member's JoinGroup waits for the others. */
  answerJoin: ((answer: JoinAnswer) => void) | null
  /** Set while the member's SyncGroup waits for the leader. */
  answerSync: ((answer: SyncAnswer) => void) | null
  session: NodeJS.Timeout | undefined
}

export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'

const noBytes = Buffer.alloc(0)
const sessionTimeoutMsMax = 30 * 60 * 1000
const rebalanceTimeoutMsMax = 30 * 60 * 1000

/**
 * The membership of one consumer group, after the classic protocol of Kafka's group coordinator: members
 * join, the first one assigns the partitions, and each fetches its part. Whenever a member joins or leaves,
 * this begins again. Static members (KIP-345) are absent on purpose. Memberships do not survive a restart of
 * the broker: UNKNOWN_MEMBER_ID then makes every client join again.
 */
export class Group {
  state: GroupState = 'Empty'
  protocolType = ''
  protocol = ''
  #generation = 0
  #leaderId = ''
  #rebalance: NodeJS.Timeout | undefined
  readonly #members = new Map<string, Member>()
  readonly #invited = new Map<string, NodeJS.Timeout>()

  members(): Member[] {
    return [...this.#members.values()]
  }

  async join(request: JoinRequest): Promise<JoinAnswer> {
    const refusal = this.#refuseJoin(request)
    if (refusal !== errorCode.none) return refuseJoin(refusal, request.memberId)
    if (request.memberId === '' && request.invite) {
      return refuseJoin(errorCode.memberIdRequired, this.#inviteMember(request))
    }
    const member = this.#admit(request)
    // The same member joins again over a new connection; nobody reads the earlier answer any more.
    member.answerJoin?.(refuseJoin(errorCode.rebalanceInProgress, member.id))
    return new Promise((resolve) => {
      member.answerJoin = resolve
      this.#prepareRebalance()
    })
  }

  async sync(memberId: string, generation: number, assignments: Map<string, Buffer>): Promise<SyncAnswer> {
    const member = this.#members.get(memberId)
    if (member === undefined) return { error: errorCode.unknownMemberId, assignment: noBytes }
    if (generation !== this.#generation) return { error: errorCode.illegalGeneration, assignment: noBytes }
    if (this.state === 'PreparingRebalance')
      return { error: errorCode.rebalanceInProgress, assignment: noBytes }
    if (this.state === 'Stable') return { error: errorCode.none, assignment: member.assignment }
    return new Promise((resolve) => {
      member.answerSync?.({ error: errorCode.rebalanceInProgress, assignment: noBytes })
      member.answerSync = resolve
      clearTimeout(member.session)
      if (memberId === this.#leaderId) this.#assign(assignments)
    })
  }

  heartbeat(memberId: string, generation: number): ErrorCode {
    const member = this.#members.get(memberId)
    if (member === undefined) return errorCode.unknownMemberId
    if (generation !== this.#generation) return errorCode.illegalGeneration
    this.#expectHeartbeat(member)
    return this.state === 'PreparingRebalance' ? errorCode.rebalanceInProgress : errorCode.none
  }

  leave(memberId: string): ErrorCode {
    if (this.#withdrawInvitation(memberId)) return errorCode.none
    const member = this.#members.get(memberId)
    if (member === undefined) return errorCode.unknownMemberId
    this.#remove(member)
    return errorCode.none
  }

  /**
   * Whether a commit may be stored: from a member of this generation, or from any client while the group is
   * empty.
   */
  judgeCommit(memberId: string, generation: number): ErrorCode {
    if (generation < 0 && this.state === 'Empty') return errorCode.none
    const member = this.#members.get(memberId)
    if (member === undefined) return errorCode.unknownMemberId
    if (generation !== this.#generation) return errorCode.illegalGeneration
    if (this.state === 'CompletingRebalance') return errorCode.rebalanceInProgress
    this.#expectHeartbeat(member)
    return errorCode.none
  }

  close(): void {
    clearTimeout(this.#rebalance)
    for (const timer of this.#invited.values()) clearTimeout(timer)
    for (const member of this.#members.values()) clearTimeout(member.session)
  }

  #refuseJoin(request: JoinRequest): ErrorCode {
    const { memberId, sessionTimeoutMs, rebalanceTimeoutMs } = request
    if (sessionTimeoutMs < 1 || sessionTimeoutMs > sessionTimeoutMsMax) return errorCode.invalidSessionTimeout
    if (rebalanceTimeoutMs < 1 || rebalanceTimeoutMs > rebalanceTimeoutMsMax)
      return errorCode.invalidSessionTimeout
    if (memberId !== '' && !this.#members.has(memberId) && !this.#invited.has(memberId)) {
      return errorCode.unknownMemberId
    }
    const others = this.members().filter((member) => member.id !== memberId)
    if (request.protocols.length === 0) return errorCode.inconsistentGroupProtocol
    if (others.length === 0) return errorCode.none
    const shared = request.protocols.some(({ name }) => others.every((other) => supports(other, name)))
    return shared && request.protocolType === this.protocolType
      ? errorCode.none
      : errorCode.inconsistentGroupProtocol
  }

  #inviteMember(request: JoinRequest): string {
    const memberId = createMemberId(request.clientId)
    this.#invited.set(
      memberId,
      setTimeout(() => this.#invited.delete(memberId), request.sessionTimeoutMs),
    )
    return memberId
  }

  #withdrawInvitation(memberId: string): boolean {
    clearTimeout(this.#invited.get(memberId))
    return this.#invited.delete(memberId)
  }

  #admit(request: JoinRequest): Member {
    this.#withdrawInvitation(request.memberId)
    const { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols } = request
    const id = request.memberId === '' ? createMemberId(clientId) : request.memberId
    const known = this.#members.get(id)
    clearTimeout(known?.session)
    const member: Member = {
      id,
      clientId,
      clientHost,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocols,
      assignment: noBytes,
      answerJoin: known?.answerJoin ?? null,
      answerSync: known?.answerSync ?? null,
      session: undefined,
    }
    this.#members.set(id, member)
    this.protocolType = request.protocolType
    return member
  }

  /** Waits until every member has joined again, for at most the longest rebalance timeout of a member. */
  #prepareRebalance(): void {
    if (this.state !== 'PreparingRebalance') {
      this.state = 'PreparingRebalance'
      for (const member of this.#members.values()) {
        if (member.answerSync === null) continue
        this.#answerSync(member, { error: errorCode.rebalanceInProgress, assignment: noBytes })
      }
      const timeoutMs = Math.max(0, ...this.members().map((member) => member.rebalanceTimeoutMs))
      this.#rebalance = setTimeout(() => this.#beginGeneration(), timeoutMs)
    }
    if (this.members().every((member) => member.answerJoin !== null)) this.#beginGeneration()
  }

  #beginGeneration(): void {
    clearTimeout(this.#rebalance)
    for (const member of this.members()) {
      if (member.answerJoin !== null) continue
      clearTimeout(member.session)
      this.#members.delete(member.id)
    }
    this.#generation += 1
    const [first] = this.#members.keys()
    if (first === undefined) {
      this.state = 'Empty'
      this.#leaderId = ''
      this.protocol = ''
      return
    }
    this.state = 'CompletingRebalance'
    if (!this.#members.has(this.#leaderId)) this.#leaderId = first
    this.protocol = chooseProtocol(this.members())
    for (const member of this.members()) this.#answerJoin(member)
  }

  #answerJoin(member: Member): void {
    const isLeader = member.id === this.#leaderId
    member.answerJoin?.({
      error: errorCode.none,
      generation: this.#generation,
      protocol: this.protocol,
      leaderId: this.#leaderId,
      memberId: member.id,
      members: isLeader
        ? this.members().map((each) => ({ memberId: each.id, metadata: metadataOf(each, this.protocol) }))
        : [],
    })
    member.answerJoin = null
    this.#expectHeartbeat(member)
  }

  #assign(assignments: Map<string, Buffer>): void {
    this.state = 'Stable'
    for (const member of this.#members.values()) {
      member.assignment = assignments.get(member.id) ?? noBytes
      if (member.answerSync !== null)
        this.#answerSync(member, { error: errorCode.none, assignment: member.assignment })
    }
  }

  #answerSync(member: Member, answer: SyncAnswer): void {
    member.answerSync?.(answer)
    member.answerSync = null
    this.#expectHeartbeat(member)
  }

  /**
   * A member that waits for the broker's answer sends no heartbeats, so its session timer runs only between
   * answers.
   */
  #expectHeartbeat(member: Member): void {
    clearTimeout(member.session)
    if (member.answerJoin !== null || member.answerSync !== null) return
    member.session = setTimeout(() => this.#remove(member), member.sessionTimeoutMs)
  }

  #remove(member: Member): void {
    clearTimeout(member.session)
    this.#members.delete(member.id)
    member.answerJoin?.(refuseJoin(errorCode.unknownMemberId, member.id))
    member.answerSync?.({ error: errorCode.unknownMemberId, assignment: noBytes })
    this.#prepareRebalance()
  }
}

export function refuseJoin(error: ErrorCode, memberId: string): JoinAnswer {
  return { error, generation: -1, protocol: '', leaderId: '', memberId, members: [] }
}

function createMemberId(clientId: string): string {
  return `${clientId}-${randomUUID()}`
}

function supports(member: Member, protocol: string): boolean {
  return member.protocols.some(({ name }) => name === protocol)
}

function metadataOf(member: Member, protocol: string): Buffer {
  return member.protocols.find(({ name }) => name === protocol)?.metadata ?? noBytes
}

/**
 * Each member votes for its first protocol that all members support; the protocol with the most votes wins.
 */
function chooseProtocol(members: readonly Member[]): string {
  const votes = new Map<string, number>()
  for (const { protocols } of members) {
    const choice = protocols.find(({ name }) => members.every((member) => supports(member, name)))
    if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1)
  }
  const [winner] = [...votes].sort(([, one], [, other]) => other - one)
  return winner?.[0] ?? ''
}
