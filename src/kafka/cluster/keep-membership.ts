import { createRequire } from 'node:module'
import { wait } from '../../runtime/wait.ts'
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

// A heartbeat that takes longer holds up no fetch.
const patienceMs = 500
// Before a coordinator that is out of reach is looked for again.
const retryMs = 500

const beats = new WeakMap<ConsumerGroup, Beat>()
const listeners = new Set<Listener>()
let isDone = false

/**
 * Keeps a member in its group while the coordinator moves to another broker: the next one knows the members, so it is found and
 * told of this one, and nobody joins again. As shipped, kafkajs 2.2.4 ends all fetches for each heartbeat that fails, asks the
 * same broker eleven times, and gives up its membership, for whose end the others then wait. Records are read on meanwhile:
 * what keeps two members from storing the same ones is PostgreSQL. Rests on the exact pin, and holds for the whole process.
 *
 * @param listener hears of each heartbeat that the coordinator did not answer
 * @returns stops listening
 */
export function onLostCoordinator(listener: Listener): () => void {
  if (!isDone) keepMembership()
  isDone = true
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function keepMembership(): void {
  const load = createRequire(import.meta.url)
  const { prototype } = load('kafkajs/src/consumer/consumerGroup.js') as { prototype: ConsumerGroup }
  const { heartbeat } = prototype
  prototype.heartbeat = async function (options) {
    const { generationId } = this
    const last = beats.get(this)
    // One of an earlier generation may hang for long, and this one has a session of its own.
    const beat =
      last?.generationId === generationId
        ? last
        : { generationId, outcome: beatOnce(this, heartbeat, options) }
    beats.set(this, beat)
    const clock = new AbortController()
    const outcome = await Promise.race([beat.outcome, wait(patienceMs, clock.signal)])
    clock.abort()
    // Its outcome is the next one's.
    if (typeof outcome === 'boolean') return
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
    // What it says of an earlier generation is over.
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
    // Nobody knows of another one yet.
    group.lastRequest = Date.now() - intervalMs + retryMs
  }
}
