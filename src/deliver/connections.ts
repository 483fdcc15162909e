import type { ReferenceSource } from '../message/reference.ts'
import type { Tls } from '../runtime/tls.ts'
import type { Attempt } from './attempt.ts'
import { Connection } from './connection.ts'
import { createConnector } from './create-connector.ts'

/**
 * At most this many requests begin in one turn of the event loop; the others begin in the next turns. When
 * the claims of a slice come all at once and the processor is quick, the connections of the first requests
 * are free again for the last ones, and outcomes come in a steady stream.
 */
const burstMax = 16

/**
 * While the processor answers within `quickMs` on average, no more requests than this are on the wire; the
 * others wait for a connection. So many answers of `quickMs` each are 12,500 a second. More connections only
 * cost: 13.5 µs of CPU a request with 505, 11.1 with 128 and 9.7 with 32 (`npm run bench:deliver`).
 */
const quickConnectionsMax = 100
const quickMs = 8

/** An answer's weight in the average time to an answer. */
const averageWeight = 1 / 32

/**
 * A connection is used for this long and then closed between two requests, so that the next one asks DNS
 * again. Under load a connection would never end on its own, and requests would still go to a processor that
 * has moved.
 */
const lifetimeDefaultMs = 120_000

/** Connections that were opened together must not all end together. */
const lifetimeJitter = 0.25

/** Idle connections that are not usable any more are closed this often. */
const sweepEveryMs = 500

export type Connections = {
  /** Sends as soon as a connection is free, in the order of the calls. */
  dispatch(attempt: Attempt): void
  close(): Promise<void>
}

/**
 * At most `max` connections to one origin, each with one request at a time, and fewer while answers come
 * fast. There is no pipelining, because one reset would make every request behind it unknown.
 *
 * @param host the Host header that the operator set, if any
 * @param reference where answers have what the processor calls the payment; null if nobody looks for it
 */
export function createConnections(
  url: URL,
  max: number,
  timeoutMs: number,
  tls: Tls,
  host: string | null,
  reference: ReferenceSource | null,
  lifetimeMs = lifetimeDefaultMs,
): Connections {
  const connect = createConnector(url, timeoutMs, tls, host)
  const all = new Set<Connection>()
  // A stack: the few that were used last serve everything while answers come fast.
  const free: Connection[] = []
  // Bounded by the number of attempts that the callers have open.
  const waiting: Attempt[] = []
  // Answered since the last turn, and before it.
  let answered: Connection[] = []
  let rested: Connection[] = []
  let turnIsDue = false
  let sweep: NodeJS.Timeout | null = null
  let patience: NodeJS.Timeout | null = null
  let answerMs = 0
  let ended = 0
  let endedBefore = 0
  let closed: Promise<void> | null = null
  let onAllClosed: () => void = () => undefined

  const plan = () => {
    if (turnIsDue) return
    turnIsDue = true
    setImmediate(turn)
  }

  const owner = {
    onConnected(connection: Connection) {
      const attempt = connection.takeWaiting()
      if (attempt !== null && connection.send(attempt)) return
      // Its request has ended meanwhile.
      free.push(connection)
      plan()
    },
    onAnswered(connection: Connection) {
      answered.push(connection)
      plan()
    },
    onEnded(ms: number) {
      ended += 1
      answerMs += (ms - answerMs) * averageWeight
    },
    onClosed(connection: Connection) {
      all.delete(connection)
      if (waiting.length > 0) plan()
      if (all.size === 0) onAllClosed()
    },
  }

  /**
   * Requests on a connection that was used before begin here and nowhere else: right after the sockets were
   * read, so that a connection which the processor has closed is seen to be closed. A connection whose answer
   * has just come waits for the next turn, because the end of the connection may lie behind it unread.
   */
  const turn = () => {
    turnIsDue = false
    free.push(...rested)
    rested = answered
    answered = []
    const begun = beginWaiting()
    if (rested.length > 0 || (begun === burstMax && waiting.length > 0)) plan()
    if (waiting.length > 0 && busy() < max && patience === null) waitForAnswers()
    if (free.length > 0) sweep ??= setTimeout(closeIdle, sweepEveryMs)
  }

  /** Connections that no request can be sent on in this turn. */
  const busy = () => all.size - free.length

  const beginWaiting = (): number => {
    const now = performance.now()
    let begun = 0
    const most = answerMs > quickMs ? max : Math.min(max, quickConnectionsMax)
    while (begun < burstMax && busy() < most) {
      const attempt = waiting[0]
      if (attempt === undefined) break
      if (!attempt.hasEnded) {
        const connection = takeFree(now)
        if (connection !== null) {
          if (!connection.send(attempt)) free.push(connection)
        } else open(attempt)
        begun += 1
      }
      waiting.shift()
    }
    return begun
  }

  /** A processor that ends few of the open requests in so long, although some wait, is not quick. */
  const waitForAnswers = () => {
    endedBefore = ended
    patience = setTimeout(lookAtAnswers, quickMs)
  }

  const lookAtAnswers = () => {
    // Timers run before sockets are read, and an answer may already be in its socket.
    setImmediate(() => {
      patience = null
      // Quick ones would have ended nearly all of these. Some that hang show in no average until their deadline.
      if (8 * (ended - endedBefore) < busy()) answerMs = 2 * quickMs
      if (waiting.length > 0) plan()
    })
  }

  const takeFree = (now: number): Connection | null => {
    for (let connection = free.pop(); connection !== undefined; connection = free.pop()) {
      if (connection.isUsable(now)) return connection
      connection.drop()
    }
    return null
  }

  const open = (attempt: Attempt) => {
    all.add(new Connection(connect, attempt, jitter(lifetimeMs), reference, owner))
  }

  const closeIdle = () => {
    sweep = null
    const now = performance.now()
    const kept = free.splice(0).filter((connection) => {
      if (connection.isUsable(now)) return true
      connection.drop()
      return false
    })
    free.push(...kept)
    if (free.length > 0) sweep = setTimeout(closeIdle, sweepEveryMs)
  }

  return {
    dispatch(attempt) {
      waiting.push(attempt)
      plan()
    },
    close() {
      waiting.length = 0
      if (sweep !== null) clearTimeout(sweep)
      if (patience !== null) clearTimeout(patience)
      closed ??= new Promise((resolve) => {
        onAllClosed = resolve
        if (all.size === 0) resolve()
      })
      for (const connection of all) connection.drop()
      return closed
    },
  }
}

function jitter(ms: number): number {
  return ms * (1 + lifetimeJitter * (2 * Math.random() - 1))
}
