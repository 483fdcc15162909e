import { AnswerFault } from './answer-fault.ts'
import { isCertificateAlert, mayBeRefusal } from './refused-certificate.ts'

/** The codes of OpenSSL and Node for a failed certificate or handshake. */
const tlsCodes =
  /^(?:ERR_SSL_|ERR_TLS_|CERT_|CRL_|UNABLE_TO_|ERROR_IN_C|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_CERT|HOSTNAME_MISMATCH$|INVALID_(?:CA|PURPOSE)$|PATH_LENGTH_)/

/**
 * A hint that newer versions of Node add. It is removed: here the remedy is DOWNSTREAM_CA, and a fault has
 * the same text on every Node.
 */
const nodeAdvice = /; if the root CA is installed locally.*$/

/** The longest text that is taken over from another program. */
const textMax = 200

/**
 * Why a request was not sent, for an operator at night.
 *
 * @param peer the configured host and port
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

/** Why a request ended whose bytes may have left, and how much of the answer had come. */
export function explainBroken(error: Error, statusCode: number | null): string {
  const hint = mayBeRefusal(error) ? '; does the processor refuse our certificate?' : ''
  const where =
    statusCode === null ? `before the answer${hint}` : `before the end of the answer (HTTP ${statusCode})`
  if (error instanceof AnswerFault) return explainFault(error, where)
  const code = codeOf(error)
  switch (code) {
    case 'ECONNRESET':
    case 'EPIPE':
      return `connection reset ${where}`
    default:
      return `${tlsText(error, code) ?? `connection failed (${code})`} ${where}`
  }
}

function explainFault({ kind, detail }: AnswerFault, where: string): string {
  const why = clean(detail ?? 'no reason given')
  switch (kind) {
    case 'closed':
      return `connection closed ${where}`
    case 'protocol':
      return `the answer is not HTTP/1.1 (${why}), broken ${where}`
    case 'headers':
      return `the headers of the answer are not HTTP/1.1, broken ${where} (${why})`
    case 'headers_too_long':
      return 'the headers of the answer are too long'
    case 'content_length':
      return `the answer does not keep to its content-length, broken ${where}`
    case 'too_many_interims':
      return 'over 100 interim answers, sent, no answer'
    case 'upgrade':
      return 'the answer switches to another protocol'
  }
}

/** The text of a wrong host name is not repeated, because the peer chooses the names in its certificate. */
function tlsText(error: Error, code: string): string | null {
  if (!tlsCodes.test(code)) return null
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'TLS: the certificate is for another host'
  const text = 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message
  const who = isCertificateAlert(code) ? 'the processor refuses our certificate: ' : ''
  return `TLS: ${who}${clean(text.replace(nodeAdvice, ''))} [${code}]`
}

/**
 * An error's code, which is a constant of Node or OpenSSL. The message is not used: the address in it
 * differs from try to try.
 */
function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? clean(error.code) : clean(error.name)
}

function clean(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '').slice(0, textMax)
}
