import type { Socket } from 'node:net'
import { TLSSocket, type SecureContext } from 'node:tls'
import { buildConnector } from 'undici'
import type { Tls } from '../runtime/tls.ts'
import { hearOut } from './hear-out.ts'
import { noteRefusal } from './refused-certificate.ts'

/** After this time a connect is given up, so that it does not hold a connection slot for ever. */
const connectMaxMs = 10_000

type Connector = buildConnector.connector

/** undici's types do not declare that the socket is returned. */
type Open = (...given: Parameters<Connector>) => Socket

/**
 * Connects as undici does, and adds what undici does not do itself.
 *
 * @param connecting the sockets that are still connecting are kept in it. An AbortSignal in the options would
 *   work too, but Node's sockets keep a listener on it for ever: 3.6 KB an attempt while the processor was
 *   down, and each connect slower than the one before (measured).
 */
export function createConnector(url: URL, timeoutMs: number, tls: Tls, connecting: Set<Socket>): Connector {
  const open = url.protocol === 'https:' ? openSecurely(timeoutMs, tls) : build(timeoutMs)
  return (options, callback) => {
    const socket = open(options, (...result) => {
      connecting.delete(socket)
      callback(...result)
      if (socket instanceof TLSSocket) noteRefusal(socket)
    })
    hearOut(socket)
    connecting.add(socket)
  }
}

/**
 * A connector keeps its secure context and the TLS sessions made with it. So a new one is built whenever the
 * files have changed.
 */
function openSecurely(timeoutMs: number, tls: Tls): Open {
  let context = tls.secureContext()
  let open = build(timeoutMs, context)
  return (...given) => {
    const now = tls.secureContext()
    if (now !== context) open = build(timeoutMs, now)
    context = now
    return open(...given)
  }
}

function build(timeoutMs: number, secureContext?: SecureContext): Open {
  const connectMs = Math.min(timeoutMs, connectMaxMs)
  const options = {
    timeout: connectMs,
    // If a name has addresses of two families and the first does not answer, the next one gets as much time.
    // Node's own limit is 250 ms.
    autoSelectFamilyAttemptTimeout: Math.max(10, Math.round(connectMs / 2)),
    allowH2: false,
    secureContext,
  }
  return buildConnector(options) as unknown as Open
}
