import type { Broker } from '../broker.ts'
import type { Answered, Call } from '../call.ts'
import { errorCode, type ErrorCode } from '../error-code.ts'

/** The group protocol with JoinGroup; Kafka has others too. */
const classicType = 'classic'

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

/**
 * ListGroups, versions 0–5. From version 4 on with the states, from version 5 on with the types, of which
 * there is one.
 */
export function listGroups({ request, answer, version, broker }: Call): Answered {
  const states = version >= 4 ? request.compactArray(() => request.compactString().toLowerCase()) : []
  const types = version >= 5 ? request.compactArray(() => request.compactString().toLowerCase()) : []
  const groups = [...new Set([...broker.groups.keys(), ...broker.committed.groups()])]
    .map((groupId) => {
      const group = broker.groups.get(groupId)
      return { groupId, protocolType: group?.protocolType ?? 'consumer', state: group?.state ?? 'Empty' }
    })
    .filter(({ state }) => states.length === 0 || states.includes(state.toLowerCase()))
    .filter(() => types.length === 0 || types.includes(classicType))

  if (version >= 1) answer.int32(0)
  answer.int16(errorCode.none)
  if (version <= 2) {
    answer.array(groups, ({ groupId, protocolType }) => answer.string(groupId).string(protocolType))
    return 'answered'
  }
  answer.compactArray(groups, ({ groupId, protocolType, state }) => {
    answer.compactString(groupId).compactString(protocolType)
    if (version >= 4) answer.compactString(state)
    if (version >= 5) answer.compactString(classicType)
    answer.tags()
  })
  answer.tags()
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
