import { createRequire } from 'node:module'

type Runner = {
  running: boolean
  fetchManager: { stop(): Promise<void> }
  fetch: (this: Runner, nodeId: string) => Promise<unknown[]>
}

let isInstalled = false

/**
 * Ends the fetchers of a consumer that has stopped. Unchanged, kafkajs 2.2.4 makes new ones if the cluster's
 * brokers changed just before the stop: those ask nobody, get nothing, and begin anew at once, so that nothing
 * else of the process runs any more. Depends on the exact pin, and applies to the whole process.
 */
export function endStopped(): void {
  if (isInstalled) return
  isInstalled = true
  const load = createRequire(import.meta.url)
  const { prototype: runner } = load('kafkajs/src/consumer/runner.js') as { prototype: Runner }
  const { fetch } = runner
  runner.fetch = function (nodeId) {
    // Each fetcher looks whether it is to go on when its fetch has ended.
    if (!this.running) void this.fetchManager.stop()
    return fetch.call(this, nodeId)
  }
}
