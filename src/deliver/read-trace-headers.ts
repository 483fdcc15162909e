/** Of the later versions, which may have more parts, the first ones are as here (W3C Trace Context §3.2.4). */
const traceparentPattern =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]*)?$/
// Longer lists are nobody's right (§3.3.1.5).
const tracestatePattern = /^[\x20-\x7e]{1,512}$/

/**
 * The headers that name the trace of a request, as far as they can be sent: a record's header of that name may hold anything, and an illegal
 * value would keep the whole request from being sent. Without a traceparent a tracestate says nothing.
 */
export function readTraceHeaders(trace: { traceparent: string | null; tracestate?: string | null } | null): {
  traceparent?: string
  tracestate?: string
} {
  if (trace === null || trace.traceparent === null || !isTraceparent(trace.traceparent)) return {}
  const { traceparent, tracestate = null } = trace
  return tracestate !== null && tracestatePattern.test(tracestate)
    ? { traceparent, tracestate }
    : { traceparent }
}

/** Whether the value has the format of W3C Trace Context §3.2. Of version 00, the only one so far, there are no other parts. */
function isTraceparent(value: string): boolean {
  const [, version, more] = traceparentPattern.exec(value) ?? []
  return version !== undefined && (more === undefined || version !== '00')
}
