import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Context,
  type Span,
  type SpanContext,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  RandomIdGenerator,
  SamplingDecision,
  TracerProvider,
  type IdGenerator,
  type Sampler,
} from '@opentelemetry/sdk-trace'
import {
  ATTR_SERVICE_INSTANCE_ID,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
} from '@opentelemetry/semantic-conventions'
import type { Origin } from '../log/write/to-claim.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { late, within } from '../runtime/within.ts'
import {
  addressAttributes,
  attemptAttributes,
  inquiryAttributes,
  inquiryResultAttributes,
  outcomeAttributes,
  recordAttributes,
} from './attributes.ts'
import { createSampler, type SamplerConfig } from './create-sampler.ts'
import { guard } from './guard.ts'
import { readTracestate } from './read-tracestate.ts'
import { sendSpans } from './send-spans.ts'
import { traceIds } from './trace-ids.ts'
import type { RequestSpan, TraceHeaders, Tracing } from './tracing.ts'

export type TracingOptions = {
  /** Where the spans are POSTed, whole. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly serviceName: string
  readonly resource: Readonly<Record<string, string>>
  readonly sampler: SamplerConfig
  readonly instance: string
  readonly release: string
  readonly groupId: string
  readonly downstreamUrl: URL
  /** With `{idempotencyKey}` or `{transactionId}` in it; null if the processor cannot be asked. */
  readonly statusUrl: string | null
  readonly metrics: Metrics
  readonly logger: Logger
}

/**
 * Traces by OpenTelemetry. This file is loaded only where they are on, and with it all that knows OpenTelemetry.
 *
 * A record's span is the child of its producer's, and linked to it. Attempts and inquiries are children of the record's span, whose id is
 * known without it: see `traceIds`.
 */
export function startTracing(options: TracingOptions): Tracing {
  const { logger, groupId, downstreamUrl } = options
  const sampler = createSampler(options.sampler)
  const ids = new PreparedIds()
  const processor = sendSpans(options)
  const provider = new TracerProvider({
    sampler,
    idGenerator: ids,
    spanProcessors: [processor],
    // An id that a producer chose is 255 bytes at most; reasons name addresses.
    spanLimits: { attributeValueLengthLimit: 1_024 },
    resource: defaultResource()
      .merge(resourceFromAttributes({ ...options.resource }))
      .merge(
        resourceFromAttributes({
          [ATTR_SERVICE_NAME]: options.serviceName,
          [ATTR_SERVICE_VERSION]: options.release,
          [ATTR_SERVICE_INSTANCE_ID]: options.instance,
        }),
      ),
  })
  const tracer = provider.getTracer('transaction-queue-proxy', options.release)
  const attemptName = `POST ${downstreamUrl.pathname}`
  const attemptAddress = addressAttributes(downstreamUrl)
  const inquiry = readInquiryAddress(options.statusUrl)

  /** The span of the message's record, as the parent of another. */
  const recordOf = (transactionId: string, origin: Partial<Origin>): Context => {
    const producer = producerOf(origin)
    const own = traceIds(transactionId)
    const traceId = producer?.traceId ?? own.traceId
    const span: SpanContext = {
      traceId,
      spanId: own.spanId,
      traceFlags: isSampled(sampler, contextOf(producer), traceId) ? TraceFlags.SAMPLED : TraceFlags.NONE,
      ...(producer?.traceState === undefined ? {} : { traceState: producer.traceState }),
    }
    return trace.setSpanContext(ROOT_CONTEXT, span)
  }

  return guard(
    {
      noteSlice(slice, results, startedAt) {
        const name = `process ${slice.topic}`
        const startTime = new Date(startedAt)
        slice.records.forEach((record, at) => {
          const result = results[at]
          // It was told of when it was stored.
          if (result === undefined || result === 'skipped') return
          const producer = producerOf(record)
          const own = traceIds(record.transactionId)
          // What comes of a message belongs to its first record; another one of the same id is told of by itself.
          const isFirst = result === 'received' || result === 'rejected'
          const spanOptions = {
            kind: SpanKind.CONSUMER,
            startTime,
            attributes: recordAttributes(slice, record, result, groupId),
            links: producer === null ? [] : [{ context: producer }],
          }
          const start = (): Span => tracer.startSpan(name, spanOptions, contextOf(producer))
          const span = isFirst ? ids.give(own, start) : start()
          if (result === 'rejected' || result === 'conflict') span.setStatus({ code: SpanStatusCode.ERROR })
          span.end()
        })
      },
      startAttempt(claim, lane) {
        const attributes = { ...attemptAttributes(claim, lane), ...attemptAddress }
        const record = recordOf(claim.transactionId, claim)
        const span = tracer.startSpan(attemptName, { kind: SpanKind.CLIENT, attributes }, record)
        return requestSpan(span, (outcome) => {
          span.setAttributes(outcomeAttributes(outcome))
          if (outcome.kind !== 'accepted') fail(span, outcome.reason)
        })
      },
      startInquiry(asked, lane) {
        const attributes = { ...inquiryAttributes(asked, lane), ...inquiry.attributes }
        const record = recordOf(asked.transactionId, asked)
        const span = tracer.startSpan(inquiry.name, { kind: SpanKind.CLIENT, attributes }, record)
        return requestSpan(span, (result) => {
          span.setAttributes(inquiryResultAttributes(result))
          if (result.answer === 'no_answer') fail(span, result.reason)
        })
      },
      async stop(ms) {
        if ((await within(provider.shutdown(), ms).catch(() => late)) === late)
          logger.warn({ spans: processor.held }, 'stopped with spans that were not taken')
      },
    },
    logger,
  )
}

/** Gives one span the ids that were prepared for it, and each other span random ones. */
class PreparedIds implements IdGenerator {
  readonly #random = new RandomIdGenerator()
  #prepared: { traceId: string; spanId: string } | null = null

  give(ids: { traceId: string; spanId: string }, start: () => Span): Span {
    this.#prepared = ids
    try {
      return start()
    } finally {
      this.#prepared = null
    }
  }

  generateTraceId(): string {
    return this.#prepared?.traceId ?? this.#random.generateTraceId()
  }

  generateSpanId(): string {
    return this.#prepared?.spanId ?? this.#random.generateSpanId()
  }
}

const propagator = new W3CTraceContextPropagator()
type Carrier = Record<string, string>
const getter = {
  get: (carrier: Carrier, name: string) => carrier[name],
  keys: (carrier: Carrier) => Object.keys(carrier),
}
const setter = {
  set(carrier: Carrier, name: string, value: string) {
    carrier[name] = value
  },
}

/** The span that the record names as its parent; null if it names none, or in no valid form. */
function producerOf({ traceparent, headers }: Partial<Origin>): SpanContext | null {
  if (traceparent == null) return null
  const tracestate = readTracestate(headers ?? null)
  const carrier = tracestate === null ? { traceparent } : { traceparent, tracestate }
  return trace.getSpanContext(propagator.extract(ROOT_CONTEXT, carrier, getter)) ?? null
}

function contextOf(producer: SpanContext | null): Context {
  return producer === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, producer)
}

/** Every sampler that can be set decides by its arguments alone, so the record's span was decided about in the same way. */
function isSampled(sampler: Sampler, producer: Context, traceId: string): boolean {
  const { decision } = sampler.shouldSample(producer, traceId, 'process', SpanKind.CONSUMER, {}, [])
  return decision === SamplingDecision.RECORD_AND_SAMPLED
}

function requestSpan<End>(span: Span, note: (how: End) => void): RequestSpan<End> {
  return {
    headers: headersOf(span),
    end(how) {
      note(how)
      span.end()
    },
  }
}

function headersOf(span: Span): TraceHeaders {
  const carrier: Carrier = {}
  propagator.inject(trace.setSpan(ROOT_CONTEXT, span), carrier, setter)
  return { traceparent: carrier.traceparent ?? null, tracestate: carrier.tracestate || null }
}

function fail(span: Span, reason: string): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: reason })
}

/** The payment's place in the address stays as it was written, so that all inquiries have one name. */
function readInquiryAddress(statusUrl: string | null): { name: string; attributes: object } {
  if (statusUrl === null) return { name: 'GET', attributes: {} }
  const url = new URL(statusUrl)
  // Only the braces are written as they were set: other bytes may be no UTF-8.
  const template = url.pathname.replaceAll('%7B', '{').replaceAll('%7D', '}')
  return {
    name: `GET ${template}`,
    attributes: {
      ...addressAttributes(url),
      'url.full': `${url.origin}${template}`,
      'url.template': template,
    },
  }
}
