import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { findListener } from './find-listener.ts'
import { isErrno } from './postgres/process.ts'

/** A part of a killed service may be about to end: PostgreSQL first writes back what it holds. */
const partEndsWithinMs = 10_000

export interface WantedPort {
  port: number
  /** The name of the part that needs the port, for the sentence. */
  part: string
  /** The program or script that the command line of such a part contains. */
  program: string
  /** The end of the sentence about another program. */
  remedy: string
}

/**
 * Makes sure that the port of 127.0.0.1 is free. Waits a while if an embedded part of an earlier start still
 * has it.
 *
 * @throws an Error with one sentence that names the program that listens there, if the system tells
 */
export async function refuseTakenPort({ port, part, program, remedy }: WantedPort): Promise<void> {
  const deadline = Date.now() + partEndsWithinMs
  while (!(await isFree(port))) {
    const taken = `Port ${port} of 127.0.0.1, which the embedded ${part} needs, is taken by`
    const listener = await findListener(port)
    if (listener === undefined) {
      // The port may have become free between the two checks.
      if (await isFree(port)) return
      throw new Error(`${taken} another program: ${remedy}`)
    }
    const { pid, words } = listener
    if (!words.includes(program))
      throw new Error(`${taken} another program (process ${pid}, ${words[0] ?? 'unnamed'}): ${remedy}`)
    if (Date.now() > deadline)
      throw new Error(
        `${taken} the embedded ${part} of another start (process ${pid}): stop the service that it belongs to, or, if that has ended, ` +
          `stop the part with kill -INT ${pid}`,
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
