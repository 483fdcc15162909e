import { isCertificateAlert, mayBeRefusal } from './refused-certificate.ts'

/** What OpenSSL and Node call a certificate or a handshake that failed. */
const tlsCodes =
  /^(?:ERR_SSL_|ERR_TLS_|CERT_|CRL_|UNABLE_TO_|ERROR_IN_C|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_CERT|HOSTNAME_MISMATCH$|INVALID_(?:CA|PURPOSE)$|PATH_LENGTH_)/

/** What newer Nodes add to it. Here DOWNSTREAM_CA is the remedy, and a fault has one text on every Node. */
const nodeAdvice = /; if the root CA is installed locally.*$/

/** How long a reason made from another's text may become. */
const textMax = 200

/**
 * What kept a request from being sent, for an operator who reads it at 3 a.m.
 *
 * @param peer host and port as configured
 */
export function explainNotSent(error: Error, peer: string, secure: boolean): string {
  const code = codeOf(error)
  switch (code) {
    case 'ECONNREFUSED':
      return `connection refused (${peer})`
    case 'ENOTFOUND':
      return `DNS: no such host (${peer})`
    case 'EAI_AGAIN':
      return `DNS: no answer (${peer})`
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return `no connection in time (${peer})`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `no route to the host (${peer})`
    case 'ECONNRESET':
      return secure ? `TLS: connection closed during the handshake (${peer})` : `connection reset (${peer})`
    case 'EMFILE':
    case 'ENFILE':
      return 'too many open files in this process or system'
    default:
      return `${tlsText(error, code) ?? `not sent: ${code}`} (${peer})`
  }
}

/** What ended a request whose bytes may have left, up to where the answer was. */
export function explainBroken(error: Error, statusCode: number | null): string {
  const hint = mayBeRefusal(error) ? '; does the processor refuse our certificate?' : ''
  const where =
    statusCode === null ? `before the answer${hint}` : `before the end of the answer (HTTP ${statusCode})`
  const code = codeOf(error)
  switch (code) {
    case 'ECONNRESET':
    case 'EPIPE':
      return `connection reset ${where}`
    case 'UND_ERR_SOCKET':
      return explainSocket(error, where)
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      // undici says this of any fault in the headers, too, once it has read a content-length among them.
      if (statusCode === null) return `the headers of the answer are not HTTP/1.1, broken ${where}`
      return `the answer does not keep to its content-length, broken ${where}`
    case 'UND_ERR_HEADERS_OVERFLOW':
      return 'the headers of the answer are too long'
    case 'HTTPParserError':
      return `the answer is not HTTP/1.1 (${parserText(error)}), broken ${where}`
    // undici asserts that a status has no leading zero.
    case 'ERR_ASSERTION':
      return `the answer is not HTTP/1.1, broken ${where}`
    default:
      return `${tlsText(error, code) ?? `connection failed (${code})`} ${where}`
  }
}

/** The text is undici's own, for an answer 101 that nobody asked for. */
function explainSocket(error: Error, where: string): string {
  if (error.message === 'bad upgrade') return 'the answer switches to another protocol'
  return `connection closed ${where}`
}

/** The parser's error has no code; the constant text that it gives for a reason stands in brackets. */
function parserText(error: Error): string {
  return clean(/\((.*)\)$/.exec(error.message)?.[1] ?? 'no reason given')
}

/** The peer chooses the names in its certificate, so the text of a wrong name is not repeated. */
function tlsText(error: Error, code: string): string | null {
  if (!tlsCodes.test(code)) return null
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'TLS: the certificate is for another host'
  const text = 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message
  const who = isCertificateAlert(code) ? 'the processor refuses our certificate: ' : ''
  return `TLS: ${who}${clean(text.replace(nodeAdvice, ''))} [${code}]`
}

/** An error's code, which is a constant of Node, OpenSSL or undici; the address it adds differs from try to try. */
function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? clean(error.code) : clean(error.name)
}

function clean(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '').slice(0, textMax)
}
