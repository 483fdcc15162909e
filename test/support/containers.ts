import { setTimeout as sleep } from 'node:timers/promises'
import { GenericContainer, getContainerRuntimeClient } from 'testcontainers'

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
 * server is a process of this machine like any other: a test kills and freezes it, and its sessions, by their ids, which takes root.
 */
export class ServerContainer extends GenericContainer {
  /** @param port by which others reach it, and on which it is found again: published under the same number, or another one in it */
  constructor(image: string, dataDir: string, target: string, port: { container: number; host: number }) {
    super(image)
    this.withName(nameOf(port.host)).withExposedPorts(port).withStartupTimeout(120_000)
    Object.assign(this.hostConfig, { AutoRemove: true, PidMode: 'host', Binds: [`${dataDir}:${target}`] })
  }

  /** Starts it, and waits until it listens; answers the id of its process. */
  async run(port: number): Promise<number> {
    await isGone(port)
    await this.start()
    const pid = await findServer(port)
    if (pid === null) throw new Error(`the container on port ${port} ended while it started`)
    return pid
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
