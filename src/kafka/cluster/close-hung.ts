import { createRequire } from 'node:module'

type SocketRequest = { requestTimeout: number; timeoutRequest(): void }
type RequestQueue = {
  inflight: Map<number, SocketRequest>
  requestTimeoutIntervalId: NodeJS.Timeout
  isConnected(): boolean
  destroy(): void
  scheduleRequestTimeoutCheck: (this: RequestQueue) => void
}
type Connection = {
  broker: string
  requestQueue: RequestQueue
  socket: { destroy(): void } | null | undefined
  isConnected(): boolean
  connect: (this: Connection) => Promise<true>
  disconnect: (this: Connection) => Promise<true>
  processData: (this: Connection, data: Buffer) => void
  rejectRequests(error: Error): void
}
type Request = { request: { apiName: string }; requestTimeout?: number | null }
type ConnectionPool = {
  pool: Connection[]
  send: (this: ConnectionPool, request: Request) => Promise<unknown>
}
type Broker = {
  connectionPool: ConnectionPool
  connect: (this: Broker) => Promise<void>
  apiVersions(): Promise<unknown>
  joinGroup: (this: Broker, request: unknown) => Promise<unknown>
}
type CreateError = (message: string, address: string) => Error
type Errors = {
  KafkaJSConnectionError: new (message: string, about: { broker: string; code: string }) => Error
}

const tickMs = 100
// A request to a frozen broker waits for a whole request timeout, so the address is avoided for a while. A
// broker that has thawed is not noticed sooner.
const avoidMs = 5_000
// A host that answers at all, even with a refusal, does so sooner.
const refusalMs = 1_000
// A rebalance: the coordinator answers these requests once the other members have joined, at most after
// `rebalanceTimeout`.
const patientRequests: ReadonlySet<string> = new Set(['JoinGroup', 'SyncGroup'])
const patienceMs = 25_000

const silences = new WeakMap<RequestQueue, number>()
const avoidedUntil = new Map<string, number>()
let isInstalled = false

/**
 * Makes a hung broker look like one that is down, which kafkajs 2.2.4 handles well. Applies to all of kafkajs
 * in the process. Unchanged, kafkajs fails only the one request, keeps the connection, asks the same broker
 * again on it, and may even ask it who leads the partitions. So a frozen leader kept its partitions unread
 * for eleven request timeouts, a frozen coordinator kept every partition unread, and kafkajs kept asking a
 * bootstrap broker that never answered. Depends on the exact pin.
 *
 * A connection hangs when a request is open on it and not one byte has come for a request timeout. So a long
 * answer on a slow network is not silence. A blocked event loop of this process is not silence either,
 * because ticks are counted and not time.
 */
export function closeHung(): void {
  if (isInstalled) return
  isInstalled = true
  const load = createRequire(import.meta.url)
  const { prototype: queue } = load('kafkajs/src/network/requestQueue/index.js') as {
    prototype: RequestQueue
  }
  const { prototype: connection } = load('kafkajs/src/network/connection.js') as { prototype: Connection }
  const { prototype: pool } = load('kafkajs/src/network/connectionPool.js') as { prototype: ConnectionPool }
  const { prototype: broker } = load('kafkajs/src/broker/index.js') as { prototype: Broker }
  const { KafkaJSConnectionError } = load('kafkajs/src/errors.js') as Errors
  const createError = (message: string, address: string): Error =>
    new KafkaJSConnectionError(message, { broker: address, code: 'ETIMEDOUT' })
  countSilence(queue, connection)
  avoidHung(connection, createError)
  closeSilent(pool, broker, createError)
}

/** Makes requests time out by the silence of their connection. */
function countSilence(queue: RequestQueue, connection: Connection): void {
  queue.scheduleRequestTimeoutCheck = function () {
    this.destroy()
    silences.delete(this)
    this.requestTimeoutIntervalId = setInterval(() => checkSilence(this), tickMs)
  }
  const { processData } = connection
  connection.processData = function (data) {
    silences.delete(this.requestQueue)
    processData.call(this, data)
  }
}

/** Refuses for a while to connect to an address that did not answer. */
function avoidHung(connection: Connection, createError: CreateError): void {
  const { connect, disconnect } = connection
  connection.connect = async function () {
    if (!this.isConnected() && isAvoided(this.broker))
      throw createError(`Broker ${this.broker} did not answer a moment ago`, this.broker)
    const begunAt = performance.now()
    return connect.call(this).catch((error: unknown) => {
      if (performance.now() - begunAt > refusalMs) avoid(this.broker)
      throw error
    })
  }
  connection.disconnect = async function () {
    const { socket } = this
    await disconnect.call(this)
    // kafkajs disconnects again and again while a broker is down. Each time would leave a listener on the
    // dead socket.
    if (this.socket === socket) this.socket = null
    return true
  }
}

/**
 * When a request has timed out, ends everything that is open to its broker, as if the broker had gone down.
 */
function closeSilent(pool: ConnectionPool, broker: Broker, createError: CreateError): void {
  const closeIfHung = async ({ pool: connections }: ConnectionPool, error: unknown): Promise<never> => {
    if (!(error instanceof Error) || error.name !== 'KafkaJSRequestTimeoutError') throw error
    const address = connections[0]?.broker ?? ''
    const gone = createError(error.message, address)
    avoid(address)
    await Promise.all(connections.map((each) => close(each, gone)))
    throw gone
  }
  const { send } = pool
  pool.send = function (request) {
    const isPatient = patientRequests.has(request.request.apiName)
    const sent = send.call(this, isPatient ? { ...request, requestTimeout: patienceMs } : request)
    return sent.catch((error: unknown) => closeIfHung(this, error))
  }
  const { connect, joinGroup } = broker
  // Signing in does not go through the pool.
  broker.connect = function () {
    return connect.call(this).catch((error: unknown) => closeIfHung(this.connectionPool, error))
  }
  // A join may wait for long, so it first checks whether the broker answers.
  broker.joinGroup = async function (request) {
    await this.apiVersions()
    return joinGroup.call(this, request)
  }
}

function checkSilence(queue: RequestQueue): void {
  if (!queue.isConnected()) queue.destroy()
  const requests = [...queue.inflight.values()]
  if (requests.length === 0) {
    silences.delete(queue)
    return
  }
  const silentMs = (silences.get(queue) ?? 0) + tickMs
  silences.set(queue, silentMs)
  // A broker answers in order: a request after a patient one waits as long as the patient one.
  const limitMs = Math.max(...requests.map(({ requestTimeout }) => requestTimeout))
  if (silentMs > limitMs) for (const request of requests) request.timeoutRequest()
}

async function close(connection: Connection, error: Error): Promise<void> {
  connection.rejectRequests(error)
  // Destroyed and not ended: to end it, the other side would have to answer.
  connection.socket?.destroy()
  await connection.disconnect()
}

function avoid(address: string): void {
  avoidedUntil.set(address, performance.now() + avoidMs)
}

function isAvoided(address: string): boolean {
  const until = avoidedUntil.get(address)
  if (until === undefined) return false
  if (performance.now() < until) return true
  avoidedUntil.delete(address)
  return false
}
