import type { Answered, Call, Handler } from './call.ts'
import { errorCode } from './error-code.ts'
import { describeConfigs } from './handlers/describe-configs.ts'
import { fetch } from './handlers/fetch.ts'
import { deleteGroups, describeGroups, listGroups } from './handlers/group-admin.ts'
import { offsetCommit, offsetFetch } from './handlers/group-offsets.ts'
import { initProducerId } from './handlers/init-producer-id.ts'
import { listOffsets } from './handlers/list-offsets.ts'
import { findCoordinator, heartbeat, joinGroup, leaveGroup, syncGroup } from './handlers/membership.ts'
import { metadata } from './handlers/metadata.ts'
import { produce } from './handlers/produce.ts'
import { createPartitions, createTopics, deleteRecords, deleteTopics } from './handlers/topic-admin.ts'

export interface Api {
  min: number
  max: number
  /** The first version with the flexible encoding; left out if no supported version has it. */
  flexibleFrom?: number
  handle: Handler
}

export const apiVersionsKey = 18

/**
 * The requests that this broker supports, by Kafka's number. In general these are the versions before the
 * "flexible" encoding, which kafkajs, aiokafka, librdkafka and Java's clients all speak; a later version is
 * added only if it is needed to tell what is asked for. Versions are left out if their additions mean nothing
 * on a single node.
 */
export const apis: ReadonlyMap<number, Api> = new Map<number, Api>([
  [0, { min: 3, max: 7, handle: produce }],
  [1, { min: 4, max: 11, handle: fetch }],
  [2, { min: 1, max: 3, handle: listOffsets }],
  [3, { min: 0, max: 6, handle: metadata }],
  [8, { min: 2, max: 5, handle: offsetCommit }],
  [9, { min: 1, max: 4, handle: offsetFetch }],
  [10, { min: 0, max: 2, handle: findCoordinator }],
  [11, { min: 0, max: 5, handle: joinGroup }],
  [12, { min: 0, max: 2, handle: heartbeat }],
  [13, { min: 0, max: 2, handle: leaveGroup }],
  [14, { min: 0, max: 2, handle: syncGroup }],
  [15, { min: 0, max: 2, handle: describeGroups }],
  [16, { min: 0, max: 5, flexibleFrom: 3, handle: listGroups }],
  [apiVersionsKey, { min: 0, max: 4, handle: apiVersions }],
  [19, { min: 2, max: 4, handle: createTopics }],
  [20, { min: 1, max: 3, handle: deleteTopics }],
  [21, { min: 0, max: 1, handle: deleteRecords }],
  [22, { min: 0, max: 1, handle: initProducerId }],
  [32, { min: 1, max: 3, handle: describeConfigs }],
  [37, { min: 0, max: 1, handle: createPartitions }],
  [42, { min: 0, max: 1, handle: deleteGroups }],
])

/**
 * ApiVersions, versions 0–4. Versions 3 and 4 are flexible, except for the header of their answer. A later
 * version is answered as version 0 with an error, so that clients step down (KIP-511).
 */
export function apiVersions({ answer, version }: Call): Answered {
  if (version === 3 || version === 4) {
    answer.int16(errorCode.none)
    answer.compactArray(apis, ([key, { min, max }]) => answer.int16(key).int16(min).int16(max).tags())
    answer.int32(0).tags()
    return 'answered'
  }
  answer.int16(version <= 2 ? errorCode.none : errorCode.unsupportedVersion)
  answer.array(apis, ([key, { min, max }]) => answer.int16(key).int16(min).int16(max))
  if (version === 1 || version === 2) answer.int32(0)
  return 'answered'
}
