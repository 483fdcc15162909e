import type { Broker } from '../broker.ts'
import type { Answered, Call } from '../call.ts'
import { errorCode } from '../error-code.ts'
import { Group, refuseJoin, type JoinAnswer } from '../group.ts'
import { nodeId } from './metadata.ts'

/** FindCoordinator, versions 0–2: this node for every group, none for transactions. */
export function findCoordinator({ request, answer, version, host, port }: Call): Answered {
  request.string()
  const forTransactions = version >= 1 && request.int8() === 1
  if (version >= 1) answer.int32(0)
  answer.int16(forTransactions ? errorCode.transactionalIdAuthorizationFailed : errorCode.none)
  if (version >= 1) answer.string(forTransactions ? 'the development broker has no transactions' : null)
  answer.int32(nodeId).string(host).int32(port)
  return 'answered'
}

/**
 * JoinGroup, versions 0–5. A static member (KIP-345) is refused: the broker would not keep its membership
 * while it is away.
 */
export async function joinGroup({
  request,
  answer,
  version,
  broker,
  clientId,
  clientHost,
}: Call): Promise<Answered> {
  const groupId = request.string()
  const sessionTimeoutMs = request.int32()
  const rebalanceTimeoutMs = version >= 1 ? request.int32() : sessionTimeoutMs
  const memberId = request.string()
  const instanceId = version >= 5 ? request.nullableString() : null
  const protocolType = request.string()
  const protocols = request.array(() => ({ name: request.string(), metadata: Buffer.from(request.bytes()) }))

  const joined =
    groupId === ''
      ? refuseJoin(errorCode.invalidGroupId, memberId)
      : instanceId !== null
        ? refuseStaticMember(groupId, instanceId, memberId)
        : await groupOf(broker, groupId).join({
            memberId,
            clientId,
            clientHost,
            sessionTimeoutMs,
            rebalanceTimeoutMs,
            protocolType,
            protocols,
            invite: version >= 4,
          })
  if (version >= 2) answer.int32(0)
  answer.int16(joined.error).int32(joined.generation)
  answer.string(joined.protocol).string(joined.leaderId).string(joined.memberId)
  answer.array(joined.members, (member) => {
    answer.string(member.memberId)
    if (version >= 5) answer.string(null)
    answer.bytes(member.metadata)
  })
  return 'answered'
}

/** The answer cannot carry a sentence, so the broker's log has it. */
function refuseStaticMember(groupId: string, instanceId: string, memberId: string): JoinAnswer {
  process.stderr.write(
    `refused a member of group ${groupId}: group.instance.id is ${instanceId}, and the development broker has no static members; leave it out\n`,
  )
  return refuseJoin(errorCode.unsupportedVersion, memberId)
}

/** SyncGroup, versions 0–2. */
export async function syncGroup({ request, answer, version, broker }: Call): Promise<Answered> {
  const groupId = request.string()
  const generation = request.int32()
  const memberId = request.string()
  const assignments = request.array(() => [request.string(), Buffer.from(request.bytes())] as const)

  const synced = await broker.groups.get(groupId)?.sync(memberId, generation, new Map(assignments))
  if (version >= 1) answer.int32(0)
  answer.int16(synced?.error ?? errorCode.unknownMemberId).bytes(synced?.assignment ?? Buffer.alloc(0))
  return 'answered'
}

/** Heartbeat, versions 0–2. */
export function heartbeat({ request, answer, version, broker }: Call): Answered {
  const groupId = request.string()
  const generation = request.int32()
  const memberId = request.string()
  if (version >= 1) answer.int32(0)
  answer.int16(broker.groups.get(groupId)?.heartbeat(memberId, generation) ?? errorCode.unknownMemberId)
  return 'answered'
}

/** LeaveGroup, versions 0–2. */
export function leaveGroup({ request, answer, version, broker }: Call): Answered {
  const groupId = request.string()
  const memberId = request.string()
  if (version >= 1) answer.int32(0)
  answer.int16(broker.groups.get(groupId)?.leave(memberId) ?? errorCode.unknownMemberId)
  return 'answered'
}

function groupOf(broker: Broker, groupId: string): Group {
  const group = broker.groups.get(groupId) ?? new Group()
  broker.groups.set(groupId, group)
  return group
}
