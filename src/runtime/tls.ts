import { X509Certificate } from 'node:crypto'
import { createSecureContext, type ConnectionOptions, type SecureContext } from 'node:tls'
import { reasonOf } from './reason-of.ts'

/** The texts of PEM files; null where Node's own authorities, or no client certificate, will do. */
export type Pems = { readonly ca: string | null; readonly cert: string | null; readonly key: string | null }

/** When what a file holds can no longer be used. */
export type CertificateEnd = { readonly file: 'ca' | 'cert'; readonly at: Date }

/**
 * Whom we trust on a connection, and who we are on it, by files that may be replaced at any time: certificates live for weeks, and
 * the service for longer.
 *
 * The files are read for each new connection and compared as texts, because a copy may keep a file's time and size; beside a
 * handshake that is nothing. What cannot be used, such as a new certificate whose key is still the old one, changes nothing.
 */
export class Tls {
  /** Told when what the files hold has changed, with null, or why it cannot be used; the latter once for each reason. */
  onChange: (fault: string | null) => void = () => undefined
  readonly #read: () => Pems
  #pems: Pems
  #context: SecureContext
  #fault: string | null = null

  /**
   * @param read answers the texts as they are now; may throw
   * @throws Error with a sentence, if they cannot be used
   */
  constructor(read: () => Pems) {
    this.#read = read
    this.#pems = read()
    this.#context = makeContext(this.#pems)
  }

  /** For a new connection: the same object for as long as the files are the same. Never throws. */
  secureContext(): SecureContext {
    try {
      this.#readAgain(this.#read())
    } catch (error) {
      const fault = reasonOf(error)
      if (fault !== this.#fault) this.onChange(fault)
      this.#fault = fault
    }
    return this.#context
  }

  /**
   * When the files as they are now end; nothing for a file that is not named. Of several authorities the last end counts, because the
   * old one and the new one stand side by side while it is replaced. Of a chain the first certificate counts, which is ours. Never
   * throws.
   */
  ends(): CertificateEnd[] {
    this.secureContext()
    const { ca, cert } = this.#pems
    const authorities = endsOf(ca ?? '').sort((one, other) => other.getTime() - one.getTime())
    return [
      ...authorities.slice(0, 1).map((at) => ({ file: 'ca' as const, at })),
      ...endsOf(cert ?? '')
        .slice(0, 1)
        .map((at) => ({ file: 'cert' as const, at })),
    ]
  }

  #readAgain(pems: Pems): void {
    const { ca, cert, key } = this.#pems
    if (pems.ca !== ca || pems.cert !== cert || pems.key !== key) {
      this.#context = makeContext(pems)
      this.#pems = pems
      this.onChange(null)
    }
    this.#fault = null
  }
}

/**
 * What Node, pg and kafkajs take for their connections. They copy it for each new one, which asks for the context anew. The server's
 * certificate and its name are always verified.
 */
export function tlsOptions(tls: Tls): ConnectionOptions {
  return {
    rejectUnauthorized: true,
    get secureContext() {
      return tls.secureContext()
    },
  }
}

function makeContext({ ca, cert, key }: Pems): SecureContext {
  // A secure context takes a text without any certificate for an authority that vouches for nobody.
  if (ca !== null) attemptTo('the certificate authority cannot be used', () => new X509Certificate(ca))
  return attemptTo('the client certificate and its key cannot be used', () =>
    createSecureContext({ ca: ca ?? undefined, cert: cert ?? undefined, key: key ?? undefined }),
  )
}

/** The texts of OpenSSL's errors quote nothing of a key. */
function attemptTo<T>(sentence: string, make: () => T): T {
  try {
    return make()
  } catch (cause) {
    throw new Error(`${sentence}: ${reasonOf(cause)}`, { cause })
  }
}

/** In the order of the file. What is no certificate has no end: OpenSSL skips it too. */
function endsOf(pem: string): Date[] {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return certificates.flatMap((text) => {
    try {
      return [new Date(new X509Certificate(text).validTo)]
    } catch {
      return []
    }
  })
}
