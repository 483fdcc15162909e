// A tenth of what would be felt by whoever asks something else of this process.
const turnMsMax = 5

let turnBeganAt: number | null = null
let nextTurn: Promise<void> | null = null

/**
 * Gives the event loop back once a few milliseconds of a turn were spent on deliveries. Without it a thousand subscribers whose
 * connections are free would go from one delivery to the next without ever leaving the queue of promises, and neither sockets
 * nor timers nor the lanes would get a turn.
 */
export async function breathe(): Promise<void> {
  if (nextTurn === null) {
    const now = performance.now()
    if (turnBeganAt === null) {
      turnBeganAt = now
      setImmediate(() => (turnBeganAt = null))
      return
    }
    if (now - turnBeganAt < turnMsMax) return
    nextTurn = new Promise((resolve) => {
      setImmediate(() => {
        nextTurn = null
        turnBeganAt = null
        resolve()
      })
    })
  }
  await nextTurn
}
