import type { Broker } from './broker.ts'
import type { Reader, Writer } from './wire.ts'

/** One request, with what its handler needs to answer it. */
export interface Call {
  broker: Broker
  version: number
  clientId: string
  clientHost: string
  /** The address that this client reached us at, which is therefore the one to advertise to it. */
  host: string
  port: number
  /** Aborts when the connection is gone, so that nobody waits for it any longer. */
  closed: AbortSignal
  request: Reader
  answer: Writer
}

/** Writes the answer into the call; `silent` is an answer that the protocol says must not be sent. */
export type Handler = (call: Call) => Answered | Promise<Answered>

export type Answered = 'answered' | 'silent'
