import type { TLSSocket } from 'node:tls'

/**
 * The alerts by which a server refuses a client's certificate, or says that there is none (RFC 8446 §6.2), as Node names them. What
 * stands before ALERT differs between releases of OpenSSL.
 */
const alerts =
  /^ERR_SSL_.*ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|CERTIFICATE_REQUIRED)$/

/** The alert behind the error that a connection ended with. */
const refusals = new WeakMap<Error, Error>()
const suspects = new WeakSet<Error>()

/**
 * Watches a connection whose handshake has just ended on this side for the one error that comes behind the request and says that it was
 * not processed.
 *
 * In TLS 1.3 a client sends its certificate and its first data in one flight, and learns only afterwards that the certificate was
 * refused. Such a request was not read: a server may receive application data only once it has validated the client's Finished, which
 * comes behind the certificate (RFC 8446 §4.4.4), and after a fatal alert it must not go on (§6.2). It could ask for a certificate
 * later, behind a request that it has read (§4.6.2), but only a client that offers that, and Node does not offer it. So the alert
 * must be one of these, the version 1.3, and no byte of any answer may have come on the connection before. TLS 1.2 ends its handshake
 * behind the certificate; what comes later there is left in doubt, because a renegotiation may ask for one.
 *
 * Some servers, Node's among them, hang up instead of saying so. That proves nothing.
 */
export function noteRefusal(socket: TLSSocket): void {
  if (socket.getProtocol() !== 'TLSv1.3') return
  const showsCertificate = Object.keys(socket.getCertificate() ?? {}).length > 0
  let alert: Error | null = null
  // An alert is an error and an end in one, and undici answers the end with an error of its own.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (socket.bytesRead > 0) return
    if (isCertificateAlert(error.code ?? '')) alert = error
    if (alert !== null) refusals.set(error, alert)
    else if (showsCertificate) suspects.add(error)
  })
}

/** The alert that says that the request on a connection was refused unread, with our certificate; null if none did. */
export function refusalBehind(error: Error): Error | null {
  return refusals.get(error) ?? null
}

/** Whether a refused certificate would explain this error of a connection as well as anything else. */
export function mayBeRefusal(error: Error): boolean {
  return suspects.has(error)
}

export function isCertificateAlert(code: string): boolean {
  return alerts.test(code)
}
