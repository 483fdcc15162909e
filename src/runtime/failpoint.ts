/** Calls that mark the places where a crash is worth testing; each does nothing unless armed. */
export type Failpoint = (name: string) => void

/** Kills this process, as `kill -9` does, when the armed place is reached for the nth time. */
export function createFailpoint(armed: { name: string; nth: number } | null): Failpoint {
  if (armed === null) return () => undefined
  let reached = 0
  return (name) => {
    if (name !== armed.name) return
    reached++
    if (reached === armed.nth) process.kill(process.pid, 'SIGKILL')
  }
}
