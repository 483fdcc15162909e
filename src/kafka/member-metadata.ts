import { AssignerProtocol } from 'kafkajs'

/** The partitions of each topic. */
export type Partitions = ReadonlyMap<string, readonly number[]>

/** What a member of the group tells when it joins. */
export type MemberMetadata = {
  readonly topics: readonly string[]
  /** The partitions of its topics, if it tells them; other clients do not. */
  readonly partitions: Partitions
}

/** The version of Kafka's consumer protocol. */
export const protocolVersion = 0

/**
 * Writes the partitions into the protocol's field for the assigner's own data, which other clients ignore.
 */
export function writeMemberMetadata(partitions: Partitions): Buffer {
  const userData = Buffer.from(JSON.stringify({ partitions: Object.fromEntries(partitions) }))
  return AssignerProtocol.MemberMetadata.encode({
    version: protocolVersion,
    topics: [...partitions.keys()],
    userData,
  })
}

/** Reads a member's metadata. A member whose metadata has an unknown form counts as reading no topic. */
export function readMemberMetadata(metadata: Buffer): MemberMetadata {
  try {
    const found = AssignerProtocol.MemberMetadata.decode(metadata)
    return { topics: found?.topics ?? [], partitions: readPartitions(found?.userData) }
  } catch {
    return { topics: [], partitions: new Map() }
  }
}

function readPartitions(userData: Buffer | null | undefined): Partitions {
  try {
    const userMetadata = JSON.parse(String(userData)) as { partitions: Record<string, number[]> }
    return new Map(
      Object.entries(userMetadata.partitions).map(([topic, ids]) => [topic, ids.filter(isPartition)]),
    )
  } catch {
    // Another program wrote it, or there is none.
    return new Map()
  }
}

function isPartition(id: unknown): boolean {
  return Number.isInteger(id) && Number(id) >= 0
}
