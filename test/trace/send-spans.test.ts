import type { ServerResponse } from 'node:http'
import { SpanKind } from '@opentelemetry/api'
import { TracerProvider } from '@opentelemetry/sdk-trace'
import t, { type Test } from 'tap'
import { createMetrics } from '../../src/metrics.ts'
import { sendSpans } from '../../src/trace/send-spans.ts'
import { recordLines } from '../ingest/harness.ts'
import { startCollector } from '../support/collector.ts'
import { until } from '../support/until.ts'

/** A sender with a collector that is a part of the test. */
async function setUp(t: Test) {
  const collector = await startCollector(t)
  const { logger, lines } = recordLines()
  const metrics = createMetrics('test')
  const processor = sendSpans({ url: `${collector.url}/v1/traces`, headers: {}, metrics, logger })
  t.teardown(() => void processor.shutdown().catch(() => undefined))
  const tracer = new TracerProvider({ spanProcessors: [processor] }).getTracer('test')
  const end = (count: number): void => {
    for (let at = 0; at < count; at++) tracer.startSpan(`span ${at}`, { kind: SpanKind.CLIENT }).end()
  }
  const counted = async () => {
    const dropped = (await metrics.spansDropped.get()).values
    const valueOf = (reason: string): number =>
      dropped.find(({ labels }) => labels.reason === reason)?.value ?? NaN
    const exported = (await metrics.spansExported.get()).values[0]?.value ?? 0
    return { exported, notTaken: valueOf('not_taken'), full: valueOf('full') }
  }
  /** What the collector answers or does not answer is no fault of the sender's. */
  const flush = (): Promise<void> => processor.forceFlush().catch(() => undefined)
  return { collector, processor, end, flush, counted, events: () => lines.map(({ event }) => event) }
}

t.test('an outage of the collector is told of by two lines, and its spans are counted', async (t) => {
  const { collector, end, flush, counted, events } = await setUp(t)
  end(3)
  await flush()
  t.same(await counted(), { exported: 3, notTaken: 0, full: 0 })
  t.strictSame(events(), [])
  collector.behave = (request, response) => {
    request.resume()
    response.writeHead(400).end('<html>\u0000 4111111111111111')
  }
  for (const count of [4, 5]) {
    end(count)
    await flush()
  }
  t.same(await counted(), { exported: 3, notTaken: 9, full: 0 })
  t.equal(events().length, 1)
  collector.behave = null
  for (const count of [6, 7]) {
    end(count)
    await flush()
  }
  t.same(await counted(), { exported: 16, notTaken: 9, full: 0 })
  t.strictSame(events(), ['spans are not taken: traces have gaps from here on', 'spans are taken again'])
  t.equal(collector.spans.length, 16)
})

t.test('what the environment says to the exporter itself has no effect', async (t) => {
  process.env.OTEL_EXPORTER_OTLP_COMPRESSION = 'gzip'
  process.env.OTEL_EXPORTER_OTLP_TRACES_COMPRESSION = 'gzip'
  t.teardown(() => {
    delete process.env.OTEL_EXPORTER_OTLP_COMPRESSION
    delete process.env.OTEL_EXPORTER_OTLP_TRACES_COMPRESSION
  })
  const { collector, end, flush } = await setUp(t)
  const encodings: unknown[] = []
  collector.behave = (request, response) => {
    encodings.push(request.headers['content-encoding'])
    request.resume()
    response.writeHead(200).end()
  }
  end(1)
  await flush()
  t.strictSame(encodings, [undefined])
})

t.test('garbage in an answer that says that they were taken does no harm', async (t) => {
  const { collector, end, flush, counted, events } = await setUp(t)
  collector.behave = (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end(Buffer.alloc(100_000, 0xff))
  }
  end(2)
  await flush()
  t.same(await counted(), { exported: 2, notTaken: 0, full: 0 })
  t.strictSame(events(), [])
})

t.test('an answer without end is not read without end', async (t) => {
  const { collector, end, flush, counted } = await setUp(t)
  let bytes = 0
  collector.behave = (request, response) => {
    request.resume()
    const chunk = Buffer.alloc(64 * 1024)
    const pump = (): void => {
      if (response.destroyed) return
      bytes += chunk.length
      if (response.write(chunk)) setImmediate(pump)
      else response.once('drain', pump)
    }
    response.writeHead(200)
    pump()
  }
  end(2)
  await flush()
  t.same(await counted(), { exported: 0, notTaken: 2, full: 0 })
  t.ok(bytes < 32 * 1024 * 1024)
})

t.test('while the collector says nothing, so many spans wait and the others are dropped', async (t) => {
  const { collector, processor, end, flush, counted } = await setUp(t)
  const open: ServerResponse[] = []
  collector.behave = (request, response) => {
    request.resume()
    open.push(response)
  }
  end(4_096 + 1_000)
  t.same(await counted(), { exported: 0, notTaken: 0, full: 1_000 })
  t.equal(processor.held, 4_096)
  await until('the first export', () => open.length > 0)
  const refuse = (response: ServerResponse): void => void response.writeHead(400).end()
  collector.behave = (request, response) => {
    request.resume()
    refuse(response)
  }
  open.forEach(refuse)
  await until('all to be given up', async () => {
    await flush()
    return processor.held === 0
  })
  t.same(await counted(), { exported: 0, notTaken: 4_096, full: 1_000 })
  end(1)
  t.equal(processor.held, 1, 'then there is room again')
})
