import { createRequire } from 'node:module'
import { wait } from '../../runtime/wait.ts'

type Connection = { requestQueue: { throttledUntil: number } }
type FetchRequest = {
  maxWaitTime: number
  topics: readonly { topic: string; partitions: readonly { partition: number }[] }[]
}
type Broker = {
  connectionPool: { getConnectionByRequest(request: object): Promise<Connection> }
  fetch: (this: Broker, request: FetchRequest) => Promise<{ responses: unknown[] }>
}
type Listener = (topic: string, partitions: readonly number[]) => void

const fetchKey = 1

const never = new AbortController().signal
const listeners = new Set<Listener>()
let isInstalled = false

/**
 * Has a fetch end soon, without an answer, while the broker holds this client back by a quota. Unchanged, kafkajs 2.2.4 keeps it
 * until the broker takes requests again, which may be minutes later. It sends heartbeats, joins and stops only between fetches:
 * so a client that was held back for longer than a session lost its partitions, kept the other members from joining, and did not
 * leave when it was stopped. Depends on the exact pin, and applies to the whole process.
 *
 * @param listener is called each time that these partitions are not asked for because of a quota
 * @returns a function that stops the calls
 */
export function heedQuotas(listener: Listener): () => void {
  if (!isInstalled) install()
  isInstalled = true
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function install(): void {
  const load = createRequire(import.meta.url)
  const { prototype: broker } = load('kafkajs/src/broker/index.js') as { prototype: Broker }
  const { fetch } = broker
  broker.fetch = async function (request) {
    const { requestQueue } = await this.connectionPool.getConnectionByRequest({
      request: { apiKey: fetchKey },
    })
    const leftMs = requestQueue.throttledUntil - Date.now()
    if (leftMs <= 0) return fetch.call(this, request)
    for (const { topic, partitions } of request.topics)
      for (const listener of listeners)
        listener(
          topic,
          partitions.map(({ partition }) => partition),
        )
    await wait(Math.min(leftMs, request.maxWaitTime), never)
    return { responses: [] }
  }
}
