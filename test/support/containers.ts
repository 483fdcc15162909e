import { setTimeout as sleep } from 'node:timers/promises'
import { GenericContainer, getContainerRuntimeClient } from 'testcontainers'
import { isAlive } from '../../src/embedded/postgres/process.ts'

// The reaper is one more image to be had; what a test starts it ends, and what a killed run left is named by the library's label.
process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'

/** Why a test that needs a container engine is left out; false where one answers. Goes to tap's `skip`. */
export async function whyNoContainers(): Promise<string | false> {
  try {
    await getContainerRuntimeClient()
    return false
  } catch {
    return 'no container engine answers (Debian: docker.io, and dockerd started)'
  }
}

/**
 * A container around one server of the tests, which goes when the server ends; what it stores lies in a folder of this machine. The
 * server is a process of this machine like any other, by its id and its port: a test kills and freezes it, and its sessions, which
 * takes root; and a standby finds its primary.
 */
export class ServerContainer extends GenericContainer {
  readonly #port: number

  /** @param port which the server is told to take, and under which it is found again */
  constructor(image: string, dataDir: string, target: string, port: number) {
    super(image)
    this.#port = port
    this.withName(nameOf(port)).withNetworkMode('host')
    Object.assign(this.hostConfig, { AutoRemove: true, PidMode: 'host', Binds: [`${dataDir}:${target}`] })
  }

  /**
   * Starts it, and looks until it answers.
   *
   * @returns the id of its process
   */
  async run(answers: () => Promise<boolean>): Promise<number> {
    await isGone(this.#port)
    await this.start()
    const pid = await findServer(this.#port)
    while (!(await answers())) {
      if (pid === null || !isAlive(pid))
        throw new Error(`the container on port ${this.#port} ended while it started`)
      await sleep(25)
    }
    return pid ?? 0
  }
}

/** The process in the container that has the port, or null. */
export async function findServer(port: number): Promise<number | null> {
  const { container } = await getContainerRuntimeClient()
  try {
    const { State: state } = await container.getById(nameOf(port)).inspect()
    return state.Running ? state.Pid : null
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** The engine takes a moment to remove what has ended, and gives no name twice. */
async function isGone(port: number): Promise<void> {
  const { container } = await getContainerRuntimeClient()
  for (;;) {
    try {
      await container.getById(nameOf(port)).inspect()
    } catch (error) {
      if (isMissing(error)) return
      throw error
    }
    await sleep(50)
  }
}

function nameOf(port: number): string {
  return `tqp-test-server-${port}`
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && error.statusCode === 404
}
