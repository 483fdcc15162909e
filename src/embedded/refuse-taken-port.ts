import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { findListener } from './find-listener.ts'
import { isErrno } from './postgres/process.ts'

/** A part whose service was killed is on its way out: PostgreSQL writes back what it holds first. */
const partEndsWithinMs = 10_000

export interface WantedPort {
  port: number
  /** Names the part that needs it, in the sentence. */
  part: string
  /** What a process that is such a part has among the words of its command line: the program or script. */
  program: string
  /** Ends the sentence about a program that is not ours. */
  remedy: string
}

/**
 * Waits a while for the port of 127.0.0.1 where a part of ours still has it.
 * @throws Error with one sentence that names who listens there, as far as the system tells.
 */
export async function refuseTakenPort({ port, part, program, remedy }: WantedPort): Promise<void> {
  const deadline = Date.now() + partEndsWithinMs
  while (!(await isFree(port))) {
    const taken = `Port ${port} of 127.0.0.1, which the embedded ${part} needs, is taken by`
    const listener = await findListener(port)
    if (listener === undefined) {
      // It may have let go of the port between the two questions.
      if (await isFree(port)) return
      throw new Error(`${taken} another program: ${remedy}`)
    }
    const { pid, words } = listener
    if (!words.includes(program))
      throw new Error(`${taken} another program (process ${pid}, ${words[0] ?? 'unnamed'}): ${remedy}`)
    if (Date.now() > deadline)
      throw new Error(
        `${taken} the embedded ${part} of another start (process ${pid}): stop the service that it belongs to, or, if that is gone, ` +
          `it with kill -INT ${pid}`,
      )
    await sleep(50)
  }
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error) => (isErrno(error, 'EADDRINUSE') ? resolve(false) : reject(error)))
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
