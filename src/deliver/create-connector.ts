import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import type { Tls } from '../runtime/tls.ts'
import { hearOut } from './hear-out.ts'
import { noteRefusal } from './refused-certificate.ts'

/** After this time a connect is given up, so that it does not hold a connection slot for ever. */
const connectMaxMs = 10_000

/** TCP looks after this time whether the other side of a silent connection is still there. */
const probeAfterMs = 60_000

/**
 * Begins to connect. What is read goes to `onread`. `connected` is called once, after the TLS handshake if
 * there is one. A connect that fails or takes too long ends the socket with an error.
 */
export type Connect = (onread: OnReadOpts, connected: () => void) => Socket

/**
 * @param host the Host header that the operator set, if any: a TLS server is asked for its name (SNI), and
 *   must show a certificate for it
 */
export function createConnector(url: URL, timeoutMs: number, tls: Tls, host: string | null): Connect {
  const connectMs = Math.min(timeoutMs, connectMaxMs)
  const secure = url.protocol === 'https:'
  const address = {
    // The URL has an IPv6 address in brackets.
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(url.port || (secure ? 443 : 80)),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: probeAfterMs,
    // If a name has addresses of two families and the first does not answer, the next one gets as much time.
    // Node's own limit is 250 ms.
    autoSelectFamilyAttemptTimeout: Math.max(10, Math.round(connectMs / 2)),
  }
  const open = secure ? openSecurely(address, tls, serverName(host ?? url.host)) : openPlainly(address)

  return (onread, connected) => {
    const socket = open(onread)
    hearOut(socket)
    const timer = setTimeout(() => {
      socket.destroy(Object.assign(new Error('connect timeout'), { code: 'ETIMEDOUT' }))
    }, connectMs)
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer)
      connected()
    })
    socket.once('close', () => clearTimeout(timer))
    return socket
  }
}

type Address = { host: string; port: number }
type Open = (onread: OnReadOpts) => Socket

function openPlainly(address: Address): Open {
  return (onread) => connectTcp({ ...address, onread })
}

/**
 * The last session is offered again, which shortens the handshake; never across a change of the files, and never after the certificate that
 * it began with has expired. A resumed handshake shows no certificate, and each brings the session for the next one.
 */
function openSecurely(address: Address, tls: Tls, servername: string): Open {
  let context: SecureContext | null = null
  let session: Buffer | undefined
  let certificateEndsAt = -Infinity
  return (onread) => {
    const secureContext = tls.secureContext()
    if (secureContext !== context || Date.now() >= certificateEndsAt) session = undefined
    context = secureContext
    const options = { ...address, onread, secureContext, servername, ALPNProtocols: ['http/1.1'] }
    const socket = connectTls(session === undefined ? options : { ...options, session })
    socket.on('session', (each) => {
      if (secureContext === context) session = each
    })
    socket.once('secureConnect', () => {
      if (!socket.isSessionReused()) certificateEndsAt = Date.parse(socket.getPeerCertificate().valid_to)
      noteRefusal(socket)
    })
    return socket
  }
}

/** A server is not asked for by an address (RFC 6066 §3). */
function serverName(host: string): string {
  const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1')
  return isIP(name) === 0 ? name : ''
}
