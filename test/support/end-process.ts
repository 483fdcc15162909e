import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Sends a signal that ends the process, waits for its end, and gives the exit code. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const exited = once(child, 'exit')
  child.kill(signal)
  // A stopped process takes any other signal only once it goes on.
  if (signal !== 'SIGKILL') child.kill('SIGCONT')
  await exited
  return child.exitCode
}
