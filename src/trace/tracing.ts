import type { Claim } from '../log/write/to-claim.ts'
import type { RecordResult, Slice } from '../log/write/ingest.ts'
import type { Inquiry } from '../log/write/inquiry.ts'
import type { InquiryResult } from '../message/inquiry.ts'
import type { LaneName } from '../message/message.ts'
import type { Outcome } from '../message/outcome.ts'

/** The two headers of a request by which the processor goes on with the trace (W3C Trace Context); null: it is not sent. */
export type TraceHeaders = { readonly traceparent: string | null; readonly tracestate: string | null }

/** The span of one request to the processor. */
export type RequestSpan<End> = {
  readonly headers: TraceHeaders
  /** Must be called once, when the request has ended. */
  end(how: End): void
}

/**
 * What the service tells of its work as spans. Where traces are off there is none of these, and nothing is called. No method throws, and
 * none waits for whoever takes the spans.
 */
export type Tracing = {
  /**
   * A slice has been stored.
   *
   * @param startedAt when its first record was taken up, in milliseconds since 1970
   */
  noteSlice(slice: Slice, results: readonly RecordResult[], startedAt: number): void
  startAttempt(claim: Claim, lane: LaneName): RequestSpan<Outcome>
  startInquiry(inquiry: Inquiry, lane: LaneName): RequestSpan<InquiryResult>
  /** Sends the spans that are left, for at most `ms`. */
  stop(ms: number): Promise<void>
}
