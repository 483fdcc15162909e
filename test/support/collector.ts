import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import definitions from 'otlp-definitions/build/src/generated/root.js'
import type { Test } from 'tap'

/** A span as the collector received it. Ids are lower-case hexadecimal digits; times are nanoseconds since 1970. */
export interface CollectedSpan {
  name: string
  kind: string
  traceId: string
  spanId: string
  /** Empty for a root. */
  parentSpanId: string
  traceState: string
  start: bigint
  end: bigint
  attributes: Record<string, string | number | boolean>
  links: { traceId: string; spanId: string }[]
  /** UNSET, OK or ERROR. */
  status: string
  message: string
  /** Of the service. */
  resource: Record<string, string | number | boolean>
}

export interface Collector {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT is to be. */
  url: string
  port: number
  spans: CollectedSpan[]
  /** The headers of each export. */
  requests: IncomingMessage['headers'][]
  /** What is done with an export, in place of taking it: it is not decoded then. */
  behave: ((request: IncomingMessage, response: ServerResponse) => void) | null
  stop(): Promise<void>
}

/**
 * A receiver of OTLP over HTTP, which takes spans as protobuf. It reads them by code that was generated from OpenTelemetry's own definitions
 * (of a release before the exporter had a serializer written by hand).
 */
export async function startCollector(t: Pick<Test, 'teardown'>, port = 0): Promise<Collector> {
  const server = createServer((request, response) => {
    collector.requests.push(request.headers)
    if (collector.behave !== null) collector.behave(request, response)
    else void take(request, response, collector.spans)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const bound = (server.address() as AddressInfo).port
  const collector: Collector = {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    spans: [],
    requests: [],
    behave: null,
    stop: () => stop(server),
  }
  t.teardown(() => stop(server))
  return collector
}

async function stop(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

async function take(
  request: IncomingMessage,
  response: ServerResponse,
  spans: CollectedSpan[],
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const isTraces = request.method === 'POST' && request.url === '/v1/traces'
  if (!isTraces || request.headers['content-type'] !== 'application/x-protobuf') {
    response.writeHead(404).end()
    return
  }
  spans.push(...decode(Buffer.concat(chunks)))
  // The empty message says that all were taken.
  response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
}

interface Definitions {
  opentelemetry: {
    proto: {
      collector: { trace: { v1: { ExportTraceServiceRequest: { decode(bytes: Buffer): ExportRequest } } } }
      trace: {
        v1: { Span: { SpanKind: Record<number, string> }; Status: { StatusCode: Record<number, string> } }
      }
    }
  }
}
interface ExportRequest {
  resourceSpans: { resource: { attributes: Pair[] }; scopeSpans: { spans: ProtoSpan[] }[] }[]
}
interface ProtoSpan {
  name: string
  kind: number
  traceId: Uint8Array
  spanId: Uint8Array
  /** Null of a root. */
  parentSpanId: Uint8Array | null
  traceState: string
  startTimeUnixNano: { toString(): string }
  endTimeUnixNano: { toString(): string }
  attributes: Pair[]
  links: { traceId: Uint8Array; spanId: Uint8Array }[]
  status: { code: number; message: string } | null
}
interface Pair {
  key: string
  value: {
    stringValue?: string | null
    boolValue?: boolean | null
    intValue?: { toString(): string } | null
    doubleValue?: number | null
  }
}

const { proto } = (definitions as unknown as Definitions).opentelemetry

function decode(bytes: Buffer): CollectedSpan[] {
  const { SpanKind } = proto.trace.v1.Span
  const { StatusCode } = proto.trace.v1.Status
  return proto.collector.trace.v1.ExportTraceServiceRequest.decode(bytes).resourceSpans.flatMap(
    ({ resource, scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) =>
        spans.map((span) => ({
          name: span.name,
          kind: (SpanKind[span.kind] ?? '').replace('SPAN_KIND_', ''),
          traceId: hex(span.traceId),
          spanId: hex(span.spanId),
          parentSpanId: hex(span.parentSpanId),
          traceState: span.traceState,
          start: BigInt(span.startTimeUnixNano.toString()),
          end: BigInt(span.endTimeUnixNano.toString()),
          attributes: record(span.attributes),
          links: span.links.map((link) => ({ traceId: hex(link.traceId), spanId: hex(link.spanId) })),
          status: (StatusCode[span.status?.code ?? 0] ?? '').replace('STATUS_CODE_', ''),
          message: span.status?.message ?? '',
          resource: record(resource.attributes),
        })),
      ),
  )
}

function hex(bytes: Uint8Array | null): string {
  return Buffer.from(bytes ?? []).toString('hex')
}

function record(pairs: readonly Pair[]): Record<string, string | number | boolean> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, valueOf(value)]))
}

function valueOf({
  stringValue,
  boolValue,
  intValue,
  doubleValue,
}: Pair['value']): string | number | boolean {
  if (stringValue != null) return stringValue
  if (boolValue != null) return boolValue
  return intValue == null ? (doubleValue ?? '') : Number(intValue.toString())
}
