import type { TLSSocket } from 'node:tls'

/**
 * The alerts with which a server refuses a client's certificate, or says that there is none (RFC 8446 §6.2),
 * by Node's names. The part before ALERT differs between releases of OpenSSL.
 */
const alerts =
  /^ERR_SSL_.*ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|CERTIFICATE_REQUIRED)$/

/** For the error that a connection ended with: the alert that caused it. */
const refusals = new WeakMap<Error, Error>()
const suspects = new WeakSet<Error>()

/**
 * Watches a connection after its handshake for the one late error that proves that the request was not
 * processed.
 *
 * In TLS 1.3 a client sends its certificate and its first data together, and learns only later that the
 * server refused the certificate. Such a request was not read: a server may take application data only after
 * it has validated the client's Finished message, which comes after the certificate (RFC 8446 §4.4.4), and
 * after a fatal alert it must stop (§6.2). A server could ask for a certificate later, after a request that
 * it has read (§4.6.2), but only if the client offers that, and Node does not. So the alert must be one of
 * the list above, the version must be 1.3, and no byte of any answer may have come on the connection before.
 * In TLS 1.2 the handshake ends after the certificate. A later error is left in doubt there, because a
 * renegotiation may ask for a certificate.
 *
 * Some servers, including Node's, hang up without an alert. That proves nothing.
 */
export function noteRefusal(socket: TLSSocket): void {
  if (socket.getProtocol() !== 'TLSv1.3') return
  const showsCertificate = Object.keys(socket.getCertificate() ?? {}).length > 0
  let alert: Error | null = null
  // Before the connection hears of the error. An alert may also be an end, which has an error of its own.
  socket.prependListener('error', (error: NodeJS.ErrnoException) => {
    if (socket.bytesRead > 0) return
    if (isCertificateAlert(error.code ?? '')) alert = error
    if (alert !== null) refusals.set(error, alert)
    else if (showsCertificate) suspects.add(error)
  })
}

/**
 * The alert that shows that the request was refused unread, because of our certificate; null if there was
 * none.
 */
export function refusalBehind(error: Error): Error | null {
  return refusals.get(error) ?? null
}

/** Whether a refused certificate could explain this error of a connection. */
export function mayBeRefusal(error: Error): boolean {
  return suspects.has(error)
}

export function isCertificateAlert(code: string): boolean {
  return alerts.test(code)
}
