import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base'
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'

// A span takes about 2 KB of memory, so these take 8 MB.
const spansMax = 4_096
const batchSpans = 512
const batchEveryMs = 1_000
// With all that the exporter tries again within it.
const exportMs = 10_000
// The exporter gives up by itself only while nothing comes at all.
const giveUpMs = exportMs + 2_000
// Exports that were given up may still be open; a stop sends all that waits at once.
const exportsMax = 16

type SendOptions = {
  url: string
  headers: Readonly<Record<string, string>>
  metrics: Pick<Metrics, 'spansExported' | 'spansDropped'>
  logger: Logger
}

/**
 * Sends ended spans by OTLP (protobuf over HTTP), in batches, beside everything else. What the collector does not take in time, and what
 * comes while `spansMax` wait, is dropped and counted.
 */
export function sendSpans({ url, headers, metrics, logger }: SendOptions): BoundedProcessor {
  // All is said here, because what is not the exporter takes from the environment by itself.
  const exporter = new OTLPTraceExporter({
    url,
    headers: { ...headers },
    timeoutMillis: exportMs,
    compression: CompressionAlgorithm.NONE,
    concurrencyLimit: exportsMax,
    httpAgentOptions: { keepAlive: true },
  })
  return new BoundedProcessor(exporter, metrics, logger)
}

/** Batches by the SDK's own processor, which it keeps from ever dropping a span by itself and uncounted. */
export class BoundedProcessor implements SpanProcessor {
  readonly #exporter: SpanExporter
  readonly #metrics: SendOptions['metrics']
  readonly #logger: Logger
  readonly #batches: BatchSpanProcessor
  #held = 0
  #isFailing = false

  constructor(exporter: SpanExporter, metrics: SendOptions['metrics'], logger: Logger) {
    this.#exporter = exporter
    this.#metrics = metrics
    this.#logger = logger
    this.#batches = new BatchSpanProcessor({
      exporter: {
        export: (spans, callback) => this.#export(spans, callback),
        shutdown: () => exporter.shutdown(),
      },
      maxQueueSize: spansMax,
      maxExportBatchSize: batchSpans,
      scheduledDelayMillis: batchEveryMs,
      exportTimeoutMillis: 2 * giveUpMs,
    })
  }

  /** How many spans wait or are being sent. */
  get held(): number {
    return this.#held
  }

  onStart(): void {
    // A span is of interest once it has ended.
  }

  onEnd(span: ReadableSpan): void {
    if (this.#held >= spansMax) {
      this.#metrics.spansDropped.inc({ reason: 'full' })
      return
    }
    this.#held += 1
    this.#batches.onEnd(span)
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush()
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown()
  }

  #export(spans: ReadableSpan[], callback: (result: ExportResult) => void): void {
    let hasEnded = false
    const end = (result: ExportResult): void => {
      if (hasEnded) return
      hasEnded = true
      clearTimeout(timer)
      this.#held -= spans.length
      this.#note(spans.length, result)
      callback(result)
    }
    const timer = setTimeout(
      () =>
        end({ code: ExportResultCode.FAILED, error: new Error(`no answer within ${giveUpMs / 1_000} s`) }),
      giveUpMs,
    )
    timer.unref()
    this.#exporter.export(spans, end)
  }

  /** Two lines an outage of the collector, however long it lasts. */
  #note(spans: number, { code, error }: ExportResult): void {
    const isFailing = code !== ExportResultCode.SUCCESS
    if (isFailing) this.#metrics.spansDropped.inc({ reason: 'not_taken' }, spans)
    else this.#metrics.spansExported.inc(spans)
    if (isFailing && !this.#isFailing)
      this.#logger.warn({ reason: explain(error) }, 'spans are not taken: traces have gaps from here on')
    if (!isFailing && this.#isFailing) this.#logger.info('spans are taken again')
    this.#isFailing = isFailing
  }
}

/** The collector's answer is not quoted. */
function explain(error: Error | undefined): string {
  if (error === undefined) return 'the collector does not take them'
  const status = 'code' in error && typeof error.code === 'number' ? error.code : null
  return status === null ? reasonOf(error) : `the collector answers HTTP ${status}`
}
