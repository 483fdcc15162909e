/** In characters. What is larger is no list of 512 characters beside a few others. */
export const tracestateHeadersMax = 65_536

/**
 * What traces need of a record's headers: all of them where `tracestate` is among them, and else nothing. Who holds many attempts must not
 * hold what is large beside each.
 *
 * @param headers JSON text of [[name, base64 | null], …]
 */
export function keepTracestate(headers: string | null): string | null {
  return headers !== null && headers.length <= tracestateHeadersMax && headers.includes('"tracestate"')
    ? headers
    : null
}
