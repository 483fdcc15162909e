import { readDestinations, type DestinationStanding } from '../../log/read/read-destinations.ts'
import { readJobs, type ReplayJob } from '../../log/read/read-jobs.ts'
import { readLogEnd } from '../../log/read/read-log-end.ts'
import { wait } from '../../runtime/wait.ts'
import { ask } from '../ask.ts'
import type { ApiDependencies } from '../api-dependencies.ts'
import { shortName } from '../tokens.ts'
import { Admission } from './admission.ts'
import { tokenOf } from './client-of.ts'
import type { Delivery } from './delivery.ts'
import { followEvents, type EventsWanted } from './follow-events.ts'
import { followLatest } from './follow-latest.ts'
import { followMessage, type MessageState, type ReadState } from './follow-message.ts'
import { LiveStream } from './live-stream.ts'
import { pageReader, type ReadPage } from './read-page.ts'
import { readTogether } from './read-together.ts'
import { stateReader } from './state-reader.ts'
import { SubscriptionEnded } from './subscription-ended.ts'
import { Tail } from './tail.ts'
import { tick, type Tick } from './tick.ts'
import { Turns } from './turns.ts'

// Of the connections that the API has; the others are for the tail and for those who query.
const catchUpsMax = 2
// The server holds 2,000 connections: no client shall be able to take them all.
const subscriptionsPerClientMax = 1_500
// One WebSocket may carry many.
const subscriptionsMax = 5_000
// A part of what the server has for closing.
const endMsMax = 200

/** All live subscriptions of this process, whatever transport they came by, and the one tail that feeds them. */
export class Streams {
  readonly #tail: Tail
  readonly #readPage: ReadPage
  readonly #readLogEnd: () => ReturnType<typeof readLogEnd>
  readonly #readState: ReadState
  readonly #readDestination: (name: string) => Promise<DestinationStanding | null>
  readonly #onDestination: ApiDependencies['onDestination']
  readonly #readJob: (id: string) => Promise<ReplayJob | null>
  readonly #onJobs: ApiDependencies['onJobs']
  readonly #health: ApiDependencies['health']
  readonly #metrics: ApiDependencies['metrics']
  readonly #admission = new Admission(subscriptionsPerClientMax, subscriptionsMax)
  /** With the client of each. */
  readonly #open = new Map<LiveStream<unknown>, string>()
  /** Aborted when the last subscription has ended that was open at the end. */
  readonly #empty = new AbortController()
  #isEnding = false

  constructor({
    database,
    logger,
    onEvents,
    onDestination,
    onJobs,
    health,
    metrics,
  }: Pick<
    ApiDependencies,
    'database' | 'logger' | 'onEvents' | 'onDestination' | 'onJobs' | 'health' | 'metrics'
  >) {
    const turns = new Turns(catchUpsMax)
    const readPage = pageReader(database)
    this.#tail = new Tail(readPage, onEvents, logger)
    this.#readPage = (after, filter) => turns.take(() => readPage(after, filter))
    this.#readState = stateReader(database)
    this.#readDestination = readTogether(database, readDestinations, ({ name }) => name)
    this.#onDestination = onDestination
    this.#readJob = readTogether(database, readJobs, ({ id }) => id)
    this.#onJobs = onJobs
    this.#health = health
    this.#metrics = metrics
    this.#readLogEnd = () => turns.take(() => ask(database, readLogEnd))
  }

  /** @throws SubscriptionEnded where no more are taken, as do the others */
  events(client: string, wanted: EventsWanted): LiveStream<Delivery> {
    const log = { tail: this.#tail, readPage: this.#readPage, readLogEnd: this.#readLogEnd }
    return this.#begin(client, (signal) => followEvents(log, wanted, signal))
  }

  message(client: string, transactionId: string): LiveStream<MessageState> {
    const log = { tail: this.#tail, readState: this.#readState, readLogEnd: this.#readLogEnd }
    return this.#begin(client, (signal) => followMessage(log, transactionId, signal))
  }

  /** How a destination stands now, and then at each decision about it, and whenever the time of its next probe changes. */
  destination(client: string, name: string): LiveStream<DestinationStanding> {
    const source = {
      read: async () => (await this.#readDestination(name)) ?? undefined,
      onChange: this.#onDestination,
      placeOf: ({ decision, nextProbeAt }: DestinationStanding) => `${decision} ${nextProbeAt}`,
    }
    return this.#begin(client, (signal) => followLatest(source, signal))
  }

  /**
   * A job now (null until it is started), and then whenever something was decided about it or its counts have changed, which is told once a
   * second.
   */
  job(client: string, id: string): LiveStream<ReplayJob | null> {
    const source = { read: () => this.#readJob(id), onChange: this.#onJobs, placeOf: JSON.stringify }
    return this.#begin(client, (signal) => followLatest<ReplayJob | null>(source, signal))
  }

  ticks(client: string, everyMs: number): LiveStream<Tick> {
    return this.#begin(client, (signal) => tick(everyMs, signal))
  }

  /** Ends the subscriptions whose token, by its hash, is not valid any more. */
  endOthers(isValid: (sha256: string) => boolean): void {
    for (const [stream, client] of this.#open) {
      const token = tokenOf(client)
      if (token !== null && !isValid(token)) stream.end(new SubscriptionEnded({ kind: 'token_removed' }))
    }
  }

  /** Ends all subscriptions with DRAINING and accepts no new ones. Waits a moment until each subscriber has been told. */
  async end(): Promise<void> {
    this.#isEnding = true
    for (const each of this.#open.keys()) each.end(draining())
    // Those who take nothing never leave by themselves.
    this.#tail.stop()
    const late = wait(endMsMax, this.#empty.signal)
    if (this.#open.size > 0) await late
    else this.#empty.abort()
  }

  #begin<Value>(client: string, run: (signal: AbortSignal) => AsyncGenerator<Value>): LiveStream<Value> {
    // Open subscriptions go on during the drain, so their subscribers still get the events of outcomes that the drain stores.
    if (this.#isEnding || this.#health().draining) throw draining()
    const tooMany = this.#admission.enter(client)
    if (tooMany !== null) throw new SubscriptionEnded(tooMany)
    const stream = new LiveStream(run, () => {
      this.#open.delete(stream)
      this.#count(client, -1)
      if (this.#isEnding && this.#open.size === 0) this.#empty.abort()
      this.#admission.leave(client)
    })
    this.#open.set(stream, client)
    this.#count(client, 1)
    return stream
  }

  #count(client: string, change: 1 | -1): void {
    this.#metrics.subscriptions.set(this.#open.size)
    const token = tokenOf(client)
    if (token !== null) this.#metrics.tokenSubscriptions.inc({ token: shortName(token) }, change)
  }
}

function draining(): SubscriptionEnded {
  return new SubscriptionEnded({ kind: 'draining' })
}
