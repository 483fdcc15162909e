import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { GenericContainer, getContainerRuntimeClient, Network, Wait } from 'testcontainers'
import { readComposeFile, type ComposeFileService } from './compose-file.ts'
import './containers.ts'
import { until } from './until.ts'

export interface ComposeService {
  /** Runs a command in it, as `docker compose exec` does. */
  exec(command: string[]): Promise<{ exitCode: number; output: string }>
  /** Where a port of it is published now: another one after each start. */
  urlOf(port: number): Promise<string>
  /** All that it said. */
  log(): Promise<string>
  /** SIGKILL, and again up, on what it had stored. */
  kill(): Promise<void>
  start(): Promise<void>
  /** SIGTERM, and SIGKILL after so many seconds; answers its exit code. */
  stop(seconds: number): Promise<number>
  isHealthy(): Promise<void>
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const upMs = 300_000
const stopMs = 30_000

/**
 * The compose file, as `docker compose` would run it, by the engine alone: its images, health checks, volumes, order and limits. Only
 * the ports of this machine are others, so that a second one may run.
 */
export class Compose {
  readonly #file = readComposeFile()
  readonly #name = `tqp-test-${randomBytes(4).toString('hex')}`
  /** In place of the image that the file has built, so that nobody's own is replaced. */
  readonly #image = `${this.#name}:built`
  readonly #settings: Record<string, string>
  readonly #removers: (() => Promise<unknown>)[] = []

  /** @param settings what `docker compose` would find in its environment */
  constructor(t: Pick<Test, 'teardown'>, settings: Record<string, string>) {
    this.#settings = settings
    t.teardown(() => this.#remove())
  }

  /** @throws Error, where there is no image at the end */
  async build(): Promise<void> {
    await GenericContainer.fromDockerfile(root).withBuildkit().build(this.#image, { deleteOnExit: false })
  }

  /** Starts each service that has no profile as soon as those that it depends on are healthy, and waits until all are. */
  async up(): Promise<Record<string, ComposeService>> {
    const network = await new Network().start()
    this.#removers.push(() => network.stop())
    const starting = new Map<string, Promise<ComposeService>>()
    const start = (name: string): Promise<ComposeService> => {
      const known = starting.get(name)
      if (known !== undefined) return known
      const service = this.#file.services[name]!
      const started = Promise.all(Object.keys(service.depends_on ?? {}).map(start)).then(async () => {
        const container = new Container(this.#imageOf(service), service, `${this.#name}-`, this.#settings)
        const running = await container.withNetwork(network).withNetworkAliases(name).start()
        this.#removers.push(() => running.stop({ timeout: stopMs }))
        return describe(running.getId())
      })
      starting.set(name, started)
      return started
    }
    const names = Object.keys(this.#file.services).filter(
      (name) => this.#file.services[name]?.profiles === undefined,
    )
    const services = await Promise.all(names.map(start))
    return Object.fromEntries(names.map((name, index) => [name, services[index]!]))
  }

  /** As `docker compose down`: the containers go, the volumes that have a name stay. */
  async down(): Promise<void> {
    for (const remove of this.#removers.splice(0).reverse()) await remove()
  }

  #imageOf({ image }: ComposeFileService): string {
    const isBuilt = Object.values(this.#file.services).some((each) => each.build && each.image === image)
    return isBuilt ? this.#image : image
  }

  async #remove(): Promise<void> {
    await this.down()
    const { dockerode } = (await getContainerRuntimeClient()).container
    const volumes = Object.keys(this.#file.volumes).map((name) =>
      dockerode.getVolume(`${this.#name}-${name}`),
    )
    // A start that failed has not made them all.
    await Promise.allSettled([...volumes, dockerode.getImage(this.#image)].map((each) => each.remove()))
  }
}

/** One service of the file. What testcontainers has no word for is set on what it hands to the engine. */
class Container extends GenericContainer {
  constructor(image: string, service: ComposeFileService, prefix: string, settings: Record<string, string>) {
    super(image)
    const { interval, timeout, retries = 3, start_period: startPeriod = '0s', test } = service.healthcheck
    const environment = Object.entries(service.environment ?? {})
    this.withEnvironment(
      Object.fromEntries(environment.map(([name, value]) => [name, interpolate(String(value), settings)])),
    )
      .withExposedPorts(...service.ports.map((port) => Number(port.split(':').at(-1))))
      .withHealthCheck({
        test: test as ['CMD', ...string[]],
        interval: milliseconds(interval),
        timeout: milliseconds(timeout),
        retries,
        startPeriod: milliseconds(startPeriod),
      })
      .withWaitStrategy(Wait.forHealthCheck())
      .withStartupTimeout(upMs)
      .withTmpFs(Object.fromEntries((service.tmpfs ?? []).map((path) => [path, 'rw'])))
      .withDroppedCapabilities(...(service.cap_drop ?? []))
      .withSecurityOpt(...(service.security_opt ?? []))
    if (service.command) this.withCommand(service.command)
    Object.assign(this.hostConfig, {
      Binds: service.volumes.map((volume) => `${prefix}${volume}`),
      Init: service.init ?? false,
      ReadonlyRootfs: service.read_only ?? false,
      LogConfig: { Type: service.logging.driver, Config: service.logging.options },
    })
  }
}

async function describe(id: string): Promise<ComposeService> {
  const client = await getContainerRuntimeClient()
  const container = client.container.getById(id)
  return {
    exec: (command) => client.container.exec(container, command),
    urlOf: async (port) => {
      const { NetworkSettings: network } = await container.inspect()
      return `http://127.0.0.1:${network.Ports[`${port}/tcp`]?.[0]?.HostPort}`
    },
    log: async () => unframe(await container.logs({ stdout: true, stderr: true })),
    kill: async () => {
      await container.kill({ signal: 'SIGKILL' })
      await container.wait()
    },
    start: async () => {
      await container.start()
    },
    stop: async (seconds) => {
      await container.stop({ t: seconds })
      return (await container.inspect()).State.ExitCode
    },
    isHealthy: () =>
      until(
        'a container to be healthy',
        async () => (await container.inspect()).State.Health?.Status === 'healthy',
        upMs,
      ),
  }
}

/** The engine sends the two outputs in one, each piece behind eight bytes that say which it is of and how long. */
function unframe(framed: Buffer): string {
  const pieces: Buffer[] = []
  for (let at = 0; at < framed.length;) {
    const end = at + 8 + framed.readUInt32BE(at + 4)
    pieces.push(framed.subarray(at + 8, end))
    at = end
  }
  return Buffer.concat(pieces).toString('utf8')
}

/** What compose makes of `${NAME:-default}`. */
function interpolate(text: string, settings: Record<string, string>): string {
  return text.replaceAll(
    /\$\{(\w+):-([^}]*)\}/g,
    (_, name: string, fallback: string) => settings[name] ?? fallback,
  )
}

function milliseconds(text: string): number {
  return Number.parseFloat(text) * 1_000
}
