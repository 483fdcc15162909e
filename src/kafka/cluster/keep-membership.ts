import { createRequire } from 'node:module'
import { late, within } from '../../runtime/within.ts'
import { isUnreachable } from './is-unreachable.ts'

type ConsumerGroup = {
  cluster: {
    refreshMetadata(): Promise<void>
    findGroupCoordinator(group: { groupId: string }): Promise<unknown>
  }
  groupId: string
  generationId: number | null
  coordinator: unknown
  offsetManager: { coordinator: unknown } | null
  lastRequest: number
  heartbeat: (this: ConsumerGroup, options: { interval: number }) => Promise<void>
}
type Heartbeat = ConsumerGroup['heartbeat']
type Outcome = { error: unknown } | null
type Beat = { generationId: number | null; outcome: Promise<Outcome> }
type Listener = (groupId: string, fault: unknown) => void

// After this time fetches no longer wait for the heartbeat.
const patienceMs = 500
// The wait before another search for an unreachable coordinator.
const retryMs = 500

const beats = new WeakMap<ConsumerGroup, Beat>()
const listeners = new Set<Listener>()
let isInstalled = false

/**
 * Keeps a member in its group while the coordinator moves to another broker. The next coordinator knows the
 * members, so it is enough to find it and to use it: nobody joins again. Unchanged, kafkajs 2.2.4 ends all
 * fetches for each failed heartbeat, asks the same broker eleven times, and gives up its membership; the
 * other members then wait for that membership to end. Records are read meanwhile: PostgreSQL keeps two
 * members from storing the same ones. Depends on the exact pin, and applies to the whole process.
 *
 * @param listener is called for each heartbeat that the coordinator did not answer
 * @returns a function that stops the calls
 */
export function keepMembership(listener: Listener): () => void {
  if (!isInstalled) replaceHeartbeat()
  isInstalled = true
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function replaceHeartbeat(): void {
  const load = createRequire(import.meta.url)
  const { prototype } = load('kafkajs/src/consumer/consumerGroup.js') as { prototype: ConsumerGroup }
  const { heartbeat } = prototype
  prototype.heartbeat = async function (options) {
    const { generationId } = this
    const last = beats.get(this)
    // A heartbeat of an earlier generation may hang for long, and this generation has its own session.
    const beat =
      last?.generationId === generationId
        ? last
        : { generationId, outcome: beatOnce(this, heartbeat, options) }
    beats.set(this, beat)
    const outcome = await within(beat.outcome, patienceMs)
    // The next call gets the outcome of this heartbeat.
    if (outcome === late) return
    if (beats.get(this) === beat) beats.delete(this)
    if (outcome !== null) throw outcome.error
  }
}

async function beatOnce(
  group: ConsumerGroup,
  heartbeat: Heartbeat,
  options: { interval: number },
): Promise<Outcome> {
  const { generationId } = group
  try {
    await heartbeat.call(group, options)
  } catch (error) {
    // An error of an earlier generation no longer matters.
    if (group.generationId !== generationId) return null
    if (!isUnreachable(error)) return { error }
    for (const listener of listeners) listener(group.groupId, error)
    await findCoordinator(group, options.interval)
  }
  return null
}

async function findCoordinator(group: ConsumerGroup, intervalMs: number): Promise<void> {
  try {
    await group.cluster.refreshMetadata()
    const coordinator = await group.cluster.findGroupCoordinator({ groupId: group.groupId })
    group.coordinator = coordinator
    if (group.offsetManager !== null) group.offsetManager.coordinator = coordinator
  } catch {
    // No other coordinator is known yet: have the next heartbeat try again soon.
    group.lastRequest = Date.now() - intervalMs + retryMs
  }
}
