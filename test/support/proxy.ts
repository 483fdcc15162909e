import { once } from 'node:events'
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

/** Which way bytes travel: from the client to the target, or back. */
type Direction = 'toTarget' | 'toClient'

export interface Target {
  host: string
  port: number
}

export interface Proxy {
  /** The proxy's own port on 127.0.0.1. */
  readonly port: number
  /** How many clients are connected now. */
  readonly connections: number
  /** Ends every open connection on both sides now; bytes still under way are lost. New connections are served. */
  cut(): void
  /**
   * The network swallows everything: new connections are accepted, nothing passes, and neither side learns that the other
   * closed (half-open). Lifting it delivers what was held back, as retransmission would; a connection whose other side went
   * away meanwhile is ended.
   */
  blackhole(on: boolean): void
  /**
   * Forgets, without a word, every open connection on which nothing passed for so long: what is sent on it is never answered. New
   * connections are served.
   *
   * @returns how many
   */
  forget(idleMs?: number): number
  /** Holds back the bytes of one direction, or of both if none is named, until `thaw`. `freeze('toClient')`, then `cut()`, loses an answer. */
  freeze(direction?: Direction): void
  thaw(): void
  /** The same name leads elsewhere: open connections are cut, new ones go to this target. */
  leadTo(target: Target): void
  /** Every chunk from now on travels `ms` milliseconds longer; order is kept. */
  delay(ms: number): void
  /** New connections are refused as if nothing listened; open ones stay. Resolves once it holds. */
  refuse(on: boolean): Promise<void>
  /** Ends the proxy before the test does. */
  stop(): Promise<void>
}

interface Weather {
  frozen: Set<Direction>
  blackhole: boolean
  delayMs: number
}

/** A TCP proxy on a free port of 127.0.0.1 that misbehaves on command. It ends with the test. */
export async function startProxy(t: Pick<Test, 'teardown'>, firstTarget: Target): Promise<Proxy> {
  let target = firstTarget
  const weather: Weather = { frozen: new Set(), blackhole: false, delayMs: 0 }
  const links = new Set<Link>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const link = new Link(client, target, weather)
    links.add(link)
    client.once('close', () => links.delete(link))
  })
  const port = await listen(server, 0)
  const change = (apply: () => void) => {
    apply()
    for (const link of links) link.settle()
  }
  const cut = () => {
    for (const link of links) link.end()
  }
  const stop = async () => {
    if (server.listening) server.close()
    weather.blackhole = false
    cut()
    while (links.size > 0) await sleep(1)
  }
  t.teardown(stop)
  return {
    port,
    get connections() {
      return links.size
    },
    cut,
    leadTo: (next) => {
      target = next
      cut()
    },
    blackhole: (on) => change(() => (weather.blackhole = on)),
    forget: (idleMs = 0) => {
      const idle = [...links].filter((link) => link.idleMs >= idleMs)
      for (const link of idle) link.forget()
      return idle.length
    },
    freeze: (direction) =>
      change(() => {
        for (const each of direction ? [direction] : bothDirections) weather.frozen.add(each)
      }),
    thaw: () => change(() => weather.frozen.clear()),
    delay: (ms) => change(() => (weather.delayMs = ms)),
    refuse: async (on) => {
      if (on && server.listening) server.close()
      if (!on && !server.listening) await listen(server, port)
    },
    stop,
  }
}

const bothDirections: Direction[] = ['toTarget', 'toClient']

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** One client's connection and its counterpart to the target, which is opened as soon as the weather allows. */
class Link {
  readonly #client: Socket
  readonly #targetAddress: Target
  readonly #weather: Weather
  #target: Socket | undefined
  #gone = false
  #isForgotten = false
  #passedAt = performance.now()

  constructor(client: Socket, targetAddress: Target, weather: Weather) {
    this.#client = client
    this.#targetAddress = targetAddress
    this.#weather = weather
    this.#watch(client)
    this.settle()
  }

  /** How long nothing has passed on it, in milliseconds. */
  get idleMs(): number {
    return performance.now() - this.#passedAt
  }

  /** Brings both sockets in line with the weather. */
  settle(): void {
    if (this.#weather.blackhole || this.#isForgotten) {
      this.#client.pause()
      this.#target?.pause()
      return
    }
    if (this.#gone) {
      this.end()
      return
    }
    if (!this.#target) this.#open()
    this.#flow(this.#client, 'toTarget')
    this.#flow(this.#target, 'toClient')
  }

  /** Both sockets stay open, and nothing passes any more. */
  forget(): void {
    this.#isForgotten = true
    this.settle()
  }

  /** Not by `resetAndDestroy`: while a shutdown is under way libuv refuses it, and Node then never closes the socket. */
  end(): void {
    this.#client.destroy()
    this.#target?.destroy()
  }

  #open(): void {
    const target = connect({ ...this.#targetAddress, allowHalfOpen: true, noDelay: true })
    this.#target = target
    this.#watch(target)
    this.#carry(this.#client, target)
    this.#carry(target, this.#client)
  }

  #flow(source: Socket | undefined, direction: Direction): void {
    if (this.#weather.frozen.has(direction)) source?.pause()
    else source?.resume()
  }

  /** A socket that dies takes its counterpart along, unless a blackhole hides it. */
  #watch(socket: Socket): void {
    socket.on('error', () => {
      // 'close' follows and says all that matters here.
    })
    socket.once('close', () => {
      this.#gone = true
      if (!this.#weather.blackhole && !this.#isForgotten) this.end()
    })
  }

  #carry(from: Socket, to: Socket): void {
    let last = Promise.resolve()
    const later = (act: () => void) => {
      const due = Date.now() + this.#weather.delayMs
      const direction = to === this.#client ? 'toClient' : 'toTarget'
      last = last.then(async () => {
        const rest = due - Date.now()
        if (rest > 0) await sleep(rest)
        // What was under way when the freeze came is held back too.
        while (this.#isHeld(direction) && !to.destroyed) await sleep(5)
        if (!to.destroyed) act()
      })
    }
    from.on('data', (chunk: Buffer) => {
      this.#passedAt = performance.now()
      later(() => {
        if (to.write(chunk)) return
        from.pause()
        to.once('drain', () => this.settle())
      })
    })
    from.once('end', () => later(() => to.end()))
  }

  #isHeld(direction: Direction): boolean {
    return this.#weather.blackhole || this.#isForgotten || this.#weather.frozen.has(direction)
  }
}
