import { IncomingMessage } from 'node:http'
import { graphqlPath } from './graphql/create-graphql.ts'
import { splitTarget } from './respond.ts'
import { refusal, type Answer } from './route.ts'

/**
 * A request whose `Upgrade` is accepted only for WebSocket at /graphql. Any other `Upgrade` is ignored, as RFC 9110 §7.8 says, and the request
 * is answered as if it had none: Java's HTTP client and `curl --http2` ask every server for `h2c`.
 * Node asks `upgrade` of a request as soon as its headers are read, and else takes each for one once somebody listens to 'upgrade'
 * (`shouldUpgradeCallback` would say it, and is not there before 22.21). What is pipelined behind a request whose wish was ignored is
 * lost, as on any server of Node; no client is known that does so.
 */
export class ApiRequest extends IncomingMessage {
  // Node's constructor writes it, before fields of this class would be there.
  declare private asksForAnother: boolean | null

  get upgrade(): boolean {
    return this.asksForAnother === true && asksForWebSocket(this)
  }

  set upgrade(asks: boolean | null) {
    this.asksForAnother = asks
  }
}

/** HTTP/1.0 knows no other protocols, whatever the request says (RFC 9110 §7.8). */
function asksForWebSocket(request: IncomingMessage): boolean {
  const { method, url = '/', headers, httpVersion } = request
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    explainFault(request) === null &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    splitTarget(url).path === graphqlPath
  )
}

/**
 * What Node's parser lets pass and no server may: another version than 1.0 and 1.1 (it takes a request without one for HTTP/0.9), and no
 * Host or several (RFC 9112 §3.2), by which a proxy and we could take it for two different requests. Null where all is in order.
 */
export function explainFault({ httpVersion, httpVersionMajor, rawHeaders }: IncomingMessage): Answer | null {
  if (httpVersionMajor !== 1) return refusal(505, 'Only HTTP/1.1 and HTTP/1.0 are spoken here.')
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length
  if (hosts > 1 || (hosts === 0 && httpVersion === '1.1'))
    return refusal(400, 'There must be one Host header.')
  return null
}
