// OpenSSL's own: an address, its error's number, library, function, the words that say what it is, and where in its source.
const opensslText = /[0-9A-F]+:error:[0-9A-F]+:SSL routines:[^:]*:([^:]+):[^]*/

/** What went wrong, in one line: an error's text may come from a server. */
export function reasonOf(error: unknown): string {
  return textOf(error)
    .replace(opensslText, 'TLS: $1')
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
}

/** A refused connect to a name with several addresses is an AggregateError, whose message is empty. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || ('code' in error ? String(error.code) : error.name)
}
