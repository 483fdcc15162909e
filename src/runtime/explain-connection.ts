import { reasonOf } from './reason-of.ts'

// Node's codes of a certificate that no trusted authority vouches for.
const untrusted =
  /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_(GET_ISSUER_CERT(_LOCALLY)?|VERIFY_LEAF_SIGNATURE))$/

/** Why PostgreSQL could not be asked, in one line; never with a password in it, since neither pg nor Node tells one. */
export function explainConnection(error: unknown): string {
  // A name with several addresses, none of which answered: the message is empty.
  if (error instanceof AggregateError && error.errors.length > 0) return explainConnection(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? String(error.code) : ''
  if (untrusted.test(code)) {
    return `the server's certificate is not trusted (${error.message}): name its authority in DATABASE_CA`
  }
  return reasonOf(error)
}
