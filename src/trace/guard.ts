import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { Seldom } from '../runtime/seldom.ts'
import type { Tracing } from './tracing.ts'

// A fault of one span is likely one of all.
const tellEveryMs = 60_000

/** Keeps faults of the tracing to itself: a payment goes on without its span, as it does where traces are off. */
export function guard(tracing: Tracing, logger: Logger): Tracing {
  const seldom = new Seldom(tellEveryMs)
  const attempt = <Result>(act: () => Result, instead: Result): Result => {
    try {
      return act()
    } catch (error) {
      if (seldom.due()) logger.error({ reason: reasonOf(error) }, 'span lost by a fault of the service')
      return instead
    }
  }
  return {
    noteSlice: (...slice) => attempt(() => tracing.noteSlice(...slice), undefined),
    startAttempt(claim, lane) {
      const untraced = { headers: { traceparent: claim.traceparent, tracestate: null }, end: () => undefined }
      const span = attempt(() => tracing.startAttempt(claim, lane), untraced)
      return { headers: span.headers, end: (outcome) => attempt(() => span.end(outcome), undefined) }
    },
    startInquiry(inquiry, lane) {
      const untraced = { headers: { traceparent: null, tracestate: null }, end: () => undefined }
      const span = attempt(() => tracing.startInquiry(inquiry, lane), untraced)
      return { headers: span.headers, end: (result) => attempt(() => span.end(result), undefined) }
    },
    stop: (ms) => tracing.stop(ms),
  }
}
