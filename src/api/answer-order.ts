import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/**
 * Keeps the answers on a connection in the order of the requests. Node does that for requests. But bytes that are not HTTP never become a
 * request: the refusal is written to the bare socket, and must wait for the answers before it.
 */
export class AnswerOrder {
  readonly #open = new WeakMap<Duplex, Set<ServerResponse>>()
  readonly #waiting = new WeakMap<Duplex, () => void>()

  /** Another request has come, and will be answered. */
  begin(response: ServerResponse): void {
    const { socket } = response.req
    const open = this.#openOn(socket).add(response)
    this.#open.set(socket, open)
    response.once('close', () => {
      open.delete(response)
      this.#waiting.get(socket)?.()
    })
  }

  /**
   * Calls `refuse` once, when every request that came whole on this connection is answered. It is not called if the connection ends
   * before, or if the request that broke off was answered meanwhile.
   */
  refuseInTurn(socket: Duplex, refuse: () => void): void {
    // The parser has one more fault for each piece that comes after the first.
    if (this.#waiting.has(socket)) return
    const open = this.#openOn(socket)
    const look = () => {
      if ([...open].some(({ req }) => req.complete)) return
      this.#waiting.set(socket, () => undefined)
      if ([...open].some(({ headersSent }) => headersSent)) socket.end()
      else if (socket.writable) refuse()
    }
    this.#waiting.set(socket, look)
    look()
  }

  #openOn(socket: Duplex): Set<ServerResponse> {
    return this.#open.get(socket) ?? new Set()
  }
}
