import type { Broker } from '../broker.ts'
import type { Answered, Call } from '../call.ts'
import { errorCode, type ErrorCode } from '../error-code.ts'

/** DescribeGroups, versions 0–2. */
export function describeGroups({ request, answer, version, broker }: Call): Answered {
  const groupIds = request.array(() => request.string())
  if (version >= 1) answer.int32(0)
  answer.array(groupIds, (groupId) => {
    const group = broker.groups.get(groupId)
    const known = group !== undefined || broker.committed.of(groupId).length > 0
    answer.int16(errorCode.none).string(groupId)
    answer.string(group?.state ?? (known ? 'Empty' : 'Dead'))
    answer.string(group?.protocolType ?? '').string(group?.protocol ?? '')
    answer.array(group?.members() ?? [], (member) => {
      const metadata = member.protocols.find(({ name }) => name === group?.protocol)?.metadata
      answer.string(member.id).string(member.clientId).string(member.clientHost)
      answer.bytes(metadata ?? Buffer.alloc(0)).bytes(member.assignment)
    })
  })
  return 'answered'
}

/** ListGroups, versions 0–2. */
export function listGroups({ answer, version, broker }: Call): Answered {
  if (version >= 1) answer.int32(0)
  answer.int16(errorCode.none)
  answer.array(new Set([...broker.groups.keys(), ...broker.committed.groups()]), (groupId) => {
    answer.string(groupId).string(broker.groups.get(groupId)?.protocolType ?? 'consumer')
  })
  return 'answered'
}

/** DeleteGroups, versions 0–1. */
export function deleteGroups({ request, answer, broker }: Call): Answered {
  const groupIds = request.array(() => request.string())
  answer.int32(0).array(groupIds, (groupId) => answer.string(groupId).int16(deleteGroup(broker, groupId)))
  return 'answered'
}

function deleteGroup({ groups, committed }: Broker, groupId: string): ErrorCode {
  const group = groups.get(groupId)
  if (group === undefined && committed.of(groupId).length === 0) return errorCode.groupIdNotFound
  if (group !== undefined && group.state !== 'Empty') return errorCode.nonEmptyGroup
  group?.close()
  groups.delete(groupId)
  committed.deleteGroup(groupId)
  return errorCode.none
}
