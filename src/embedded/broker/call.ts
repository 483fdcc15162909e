import type { Broker } from './broker.ts'
import type { Reader, Writer } from './wire.ts'

/** One request, with everything that its handler needs to answer it. */
export interface Call {
  broker: Broker
  version: number
  clientId: string
  clientHost: string
  /** The address at which this client reached the broker, which is therefore advertised to it. */
  host: string
  port: number
  /** Aborts when the connection is closed, so that nothing waits for it any longer. */
  closed: AbortSignal
  request: Reader
  answer: Writer
}

/** Writes the answer into the call. `silent` means that the protocol forbids an answer. */
export type Handler = (call: Call) => Answered | Promise<Answered>

export type Answered = 'answered' | 'silent'
