// W3C Trace Context asks for 512 characters at least. Of a longer list what fits is kept (see TraceState of @opentelemetry/core).
const charactersMax = 4_096

/**
 * The `tracestate` of a record: the values of all headers of that name, in their order, as one list. Null if there is none, or if it is
 * beyond all measure.
 *
 * @param headers JSON text of [[name, base64 | null], …], as it is stored
 */
export function readTracestate(headers: string | null): string | null {
  if (headers?.includes('"tracestate"') !== true) return null
  const values = (JSON.parse(headers) as [string, string | null][])
    .filter(([name]) => name === 'tracestate')
    .map(([, value]) => value ?? '')
  const encoded = values.reduce((sum, { length }) => sum + length, 0)
  if (encoded > 2 * charactersMax) return null
  return values.map((value) => Buffer.from(value, 'base64').toString('latin1')).join(',')
}
