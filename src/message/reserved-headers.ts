/**
 * Headers that only this service sets, because they say what a request means. A setting that replaced the first two could turn one payment
 * into two, or two into one; one that added the others would break the traces.
 */
export const reservedHeaders: ReadonlySet<string> = new Set([
  'idempotency-key',
  'x-attempt',
  'traceparent',
  'tracestate',
])

/** Headers about the connection and the body's framing: how the bytes of a request travel. */
export const framingHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
