import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel, type IHeaders } from 'kafkajs'
import t, { type Test } from 'tap'
import { answer, type Processor } from '../deliver/processor.ts'
import { startAnswering, type Answering } from '../support/answering.ts'
import { startCollector, type CollectedSpan, type Collector } from '../support/collector.ts'
import { findFreePort } from '../support/free-port.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { readMetric, startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

type Context = { traceId: string; spanId: string; flags: string }

/** The span of a producer, as it would be: the service never sees more of it than this. */
function producerSpan(flags = '01'): Context {
  return { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex'), flags }
}

function traceparentOf({ traceId, spanId, flags }: Context): string {
  return `00-${traceId}-${spanId}-${flags}`
}

async function produce(line: Line, id: string, headers: IHeaders = {}): Promise<void> {
  const producer = new Kafka({ brokers: line.brokers, logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  await producer.send({
    topic: line.topic,
    messages: [{ value: JSON.stringify({ transaction_id: id, card: '4111111111111111' }), headers }],
  })
  await producer.disconnect()
}

/** The headers by which each request to the processor names its parent. */
function parentsOf(
  requests: Processor['requests'],
): { traceId: string; spanId: string; flags: string; state: string }[] {
  return requests.map(({ head }) => {
    const [, traceId = '', spanId = '', flags = ''] =
      /\r\ntraceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])(?:\r\n|$)/.exec(head) ?? []
    return { traceId, spanId, flags, state: /\r\ntracestate: (.*)/.exec(head)?.[1] ?? '' }
  })
}

/** What a processor answers to the nth request of a transaction; null: it breaks the connection. */
type Answer = (id: string, nth: number) => string | null

/** A line, a collector, a processor that answers as it is told to, and the settings of a service that tells of all. */
async function setUp(
  t: Test,
  answerOf: Answer,
): Promise<{ line: Line; collector: Collector; processor: Processor; settings: Record<string, string> }> {
  const [line, collector] = await Promise.all([setUpLine(t), startCollector(t)])
  const seen = new Map<string, number>()
  const processor = await startAnswering(t, line, (id): Answering => {
    const nth = (seen.get(id) ?? 0) + 1
    seen.set(id, nth)
    const status = answerOf(id, nth)
    return {
      effect: status?.startsWith('2') !== false,
      behave: (socket) => (status === null ? socket.destroy() : socket.write(answer(status))),
    }
  })
  const settings = {
    ...line.settings,
    DOWNSTREAM_URL: processor.url.href,
    HOLD_AFTER: '0',
    BRAKE_AFTER: '0',
    MAX_RETRIES: '1000',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  }
  return { line, collector, processor, settings }
}

function requestsOf({ requests }: Processor, id: string): Processor['requests'] {
  return requests.filter(
    ({ body }) => (JSON.parse(body.toString()) as { transaction_id: string }).transaction_id === id,
  )
}

function isAttempt({ name }: CollectedSpan): boolean {
  return name.startsWith('POST')
}

/** The spans that tell of a transaction, once there are so many. */
async function spansOf({ spans }: Collector, id: string, count: number): Promise<CollectedSpan[]> {
  const found = (): CollectedSpan[] =>
    spans.filter(({ attributes }) => attributes['tqp.transaction_id'] === id)
  await until(`${count} spans of ${id}`, () => found().length >= count)
  return found()
}

/** Asserts that the spans are of one trace, from the producer's span through the record's to the last attempt's, which succeeded. */
function isWhole(t: Test, line: Line, producer: Context, spans: readonly CollectedSpan[]): void {
  t.strictSame([...new Set(spans.map(({ traceId }) => traceId))], [producer.traceId], 'it is one trace')
  const records = spans.filter(({ kind }) => kind === 'CONSUMER')
  t.equal(records.length, 1)
  const record = records[0]!
  t.equal(record.parentSpanId, producer.spanId)
  t.strictSame(record.links, [{ traceId: producer.traceId, spanId: producer.spanId }])
  t.equal(record.name, `process ${line.topic}`)
  t.match(record.attributes, {
    'messaging.system.name': 'kafka',
    'messaging.operation.name': 'process',
    'messaging.destination.name': line.topic,
    'messaging.kafka.offset': 0,
    'messaging.consumer.group.name': line.settings.KAFKA_GROUP_ID,
    'tqp.result': 'received',
  })
  t.match(record.resource, { 'service.name': 'transaction-queue-proxy', 'service.instance.id': /./ })
  const attempts = spans.filter(isAttempt)
  t.ok(attempts.length >= 2)
  for (const span of attempts) {
    t.equal(span.parentSpanId, record.spanId, 'an attempt is the child of the record')
    t.equal(span.traceState, 'vendor=a1,other=b')
    t.ok(span.end >= span.start)
  }
  const [first, last] = [attempts[0]!, attempts.at(-1)!]
  t.equal(first.name, 'POST /process')
  t.equal(first.status, 'ERROR')
  t.equal(first.message, 'HTTP 503 Service Unavailable')
  t.match(first.attributes, {
    'http.request.method': 'POST',
    'http.response.status_code': 503,
    'error.type': '503',
    'server.address': 'localhost',
    'url.full': /^http:..localhost:\d+.process$/,
    'tqp.attempt': 1,
    'tqp.lane': 'fresh',
    'tqp.outcome': 'unavailable',
  })
  t.match(last.attributes, {
    'http.response.status_code': 200,
    'tqp.lane': 'retry',
    'tqp.outcome': 'accepted',
  })
  t.equal(last.attributes['http.request.resend_count'], Number(last.attributes['tqp.attempt']) - 1)
  t.notOk('error.type' in last.attributes)
}

/** One payment's trace, as a person reads it. */
function draw(producer: Context, spans: readonly CollectedSpan[], requests: Processor['requests']): string[] {
  const [record] = spans.filter(({ kind }) => kind === 'CONSUMER')
  const attempts = spans.filter(isAttempt)
  const shown = (span: CollectedSpan): string =>
    `${span.name}  ${span.spanId} ← ${span.parentSpanId}  ${span.status === 'ERROR' ? `ERROR ${span.message}` : span.status}`
  const instances = [...new Set(spans.map(({ resource }) => resource['service.instance.id']))]
  return [
    `trace ${producer.traceId}`,
    `the producer's span  ${producer.spanId}`,
    `  ${record === undefined ? 'no record' : shown(record)}`,
    ...attempts.map(
      (span) =>
        `    ${shown(span)}  tqp.attempt=${span.attributes['tqp.attempt']} instance ${instances.indexOf(span.resource['service.instance.id'] ?? '') + 1}`,
    ),
    'what the processor received as the parent',
    ...requests.map(({ head }) => `    ${/traceparent: .*/.exec(head)?.[0]}`),
  ]
}

t.test('a service that sends traces', async (t) => {
  const statuses: Record<string, string> = { replayed: '400 Bad', retried: '503 Down', unsampled: '503 Down' }
  const { line, collector, processor, settings } = await setUp(t, (id, nth) => {
    if (id === 'doubtful') return null
    return nth > 1 ? '200 OK' : (statuses[id] ?? '200 OK')
  })
  const asked: IncomingMessage[] = []
  const statusServer = createServer((request, response) => {
    asked.push(request)
    response.end('{"status":"success"}')
  }).listen(0, '127.0.0.1')
  await once(statusServer, 'listening')
  t.teardown(() => statusServer.close())
  const folder = await mkdtemp(join(tmpdir(), 'tqp-loaded-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const { port } = statusServer.address() as AddressInfo
  const service = await startReadyService(t, {
    ...settings,
    STATUS_URL: `http://127.0.0.1:${port}/payments/{idempotencyKey}?secret=1`,
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20token',
    NODE_V8_COVERAGE: folder,
  })
  let sent = 0
  const settle = async (count: number): Promise<void> => {
    sent += count
    await line.settled(sent)
  }

  await t.test('one trace goes from the producer through each attempt to the processor', async (t) => {
    const producer = producerSpan()
    await produce(line, 'retried', { traceparent: traceparentOf(producer), tracestate: 'vendor=a1,other=b' })
    await settle(1)
    const spans = await spansOf(collector, 'retried', 3)
    const requests = requestsOf(processor, 'retried')
    t.comment(draw(producer, spans, requests).join('\n'))
    isWhole(t, line, producer, spans)
    t.strictSame(
      parentsOf(requests).map(({ traceId, spanId, state }) => ({ traceId, spanId, state })),
      spans
        .filter(isAttempt)
        .map(({ spanId }) => ({ traceId: producer.traceId, spanId, state: 'vendor=a1,other=b' })),
      'the processor is told of each attempt as its parent',
    )
  })

  await t.test('a trace that its producer does not sample is passed on and told to nobody', async (t) => {
    const producer = producerSpan('00')
    await produce(line, 'unsampled', { traceparent: traceparentOf(producer) })
    await settle(1)
    await produce(line, 'of-no-trace')
    await settle(1)
    t.match(parentsOf(requestsOf(processor, 'unsampled')), [
      { traceId: producer.traceId, flags: '00' },
      { traceId: producer.traceId, flags: '00' },
    ])
    const [record, attempt] = await spansOf(collector, 'of-no-trace', 2)
    t.equal((await spansOf(collector, 'unsampled', 0)).length, 0)
    t.equal(record!.parentSpanId, '')
    t.equal(attempt!.parentSpanId, record!.spanId)
    t.equal(attempt!.traceId, record!.traceId)
  })

  await t.test('no header of a record, whatever is in it, keeps a payment from its way', async (t) => {
    const good = producerSpan()
    const traceparent = traceparentOf(good)
    const evil = 'evil'.repeat(2_500)
    const many = Array.from({ length: 1_000 }, (_, at) => `k${at}=v`).join(',')
    const injected = '\r\nX-Evil: evil'
    const hostile: Record<string, { headers: IHeaders; trace: 'kept' | 'own'; state?: string }> = {
      binary: { headers: { traceparent: randomBytes(55), tracestate: randomBytes(300) }, trace: 'own' },
      long: { headers: { traceparent: evil, tracestate: `a=${evil}` }, trace: 'own' },
      'long-state': { headers: { traceparent, tracestate: `a=${evil}` }, trace: 'kept', state: '' },
      'many-members': { headers: { traceparent, tracestate: many }, trace: 'kept' },
      injecting: {
        headers: { traceparent: traceparent + injected, tracestate: `a=b${injected}` },
        trace: 'own',
      },
      'injecting-state': { headers: { traceparent, tracestate: `a=b${injected}` }, trace: 'kept', state: '' },
      'state-alone': { headers: { tracestate: 'evil=1' }, trace: 'own', state: '' },
      zero: { headers: { traceparent: `00-${'0'.repeat(32)}-${good.spanId}-01` }, trace: 'own' },
      'version-ff': { headers: { traceparent: traceparent.replace(/^00/, 'ff') }, trace: 'own' },
      'more-parts': { headers: { traceparent: `${traceparent}-evil` }, trace: 'own' },
      'later-version': {
        headers: { traceparent: `${traceparent.replace(/^00/, 'cc')}-evil` },
        trace: 'kept',
      },
      twice: {
        headers: { traceparent: [traceparent, 'evil'], tracestate: ['a=1', 'b=2'] },
        trace: 'kept',
        state: 'a=1,b=2',
      },
      'odd-names': {
        headers: { '\u0000"tracestate"': 'evil', traceparent, tracestate: 'a=1' },
        trace: 'kept',
        state: 'a=1',
      },
    }
    const ids = Object.keys(hostile)
    for (const [id, { headers }] of Object.entries(hostile)) await produce(line, id, headers)
    await settle(ids.length)
    t.notMatch(processor.received(), /evil/i, 'nothing of it reaches the processor')
    for (const [id, { trace, state }] of Object.entries(hostile)) {
      const requests = requestsOf(processor, id)
      t.equal(requests.length, 1, id)
      const parent = parentsOf(requests)[0]!
      t.match(parent.traceId, /^[0-9a-f]{32}$/, id)
      t.equal(parent.traceId === good.traceId, trace === 'kept', id)
      if (state !== undefined) t.equal(parent.state, state, id)
      t.equal((await spansOf(collector, id, 2)).length, 2)
    }
  })

  await t.test('an attempt after a replay says so, and nothing of what the operator said', async (t) => {
    const producer = producerSpan()
    await produce(line, 'replayed', { traceparent: traceparentOf(producer), tracestate: 'a=1' })
    await settle(1)
    const reply = await fetch(`${service.url}/replay/replayed`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'secret words', operator: 'mallory' }),
    })
    t.equal(reply.status, 200)
    await settle(0)
    const attempts = (await spansOf(collector, 'replayed', 3)).filter(isAttempt)
    t.match(attempts, [
      { traceId: producer.traceId, attributes: { 'tqp.attempt': 1, 'tqp.outcome': 'refused' } },
      {
        traceId: producer.traceId,
        traceState: 'a=1',
        attributes: { 'tqp.attempt': 2, 'tqp.replayed_by': 'operator' },
      },
    ])
    t.notOk('tqp.replayed_by' in attempts[0]!.attributes)
  })

  await t.test('the question what became of a payment is a span of its own', async (t) => {
    const producer = producerSpan()
    await produce(line, 'doubtful', { traceparent: traceparentOf(producer), tracestate: 'a=1' })
    await settle(1)
    const spans = await spansOf(collector, 'doubtful', 3)
    const record = spans.find(({ kind }) => kind === 'CONSUMER')!
    const inquiry = spans.find(({ name }) => name.startsWith('GET'))!
    t.match(inquiry, {
      name: 'GET /payments/{idempotencyKey}',
      kind: 'CLIENT',
      traceId: producer.traceId,
      parentSpanId: record.spanId,
      traceState: 'a=1',
      attributes: {
        'http.request.method': 'GET',
        'http.response.status_code': 200,
        'url.template': '/payments/{idempotencyKey}',
        'tqp.inquiry': 'carried_out',
        'tqp.attempt': 1,
      },
    })
    t.equal(asked[0]!.headers.traceparent, `00-${producer.traceId}-${inquiry.spanId}-01`)
    t.equal(asked[0]!.headers.tracestate, 'a=1')
  })

  await t.test('a stop sends what is left, and nothing secret was in anything', async (t) => {
    await produce(line, 'last')
    await settle(1)
    service.kill('SIGTERM')
    t.equal(await service.ended, 0)
    t.equal((await spansOf(collector, 'last', 0)).length, 2)
    t.equal(collector.requests[0]!.authorization, 'Bearer token')
    t.ok(collector.spans.every(({ resource }) => resource['deployment.environment.name'] === 'test'))
    const told = JSON.stringify(collector.spans, (_, each: unknown) =>
      typeof each === 'bigint' ? String(each) : each,
    )
    t.notMatch(told, /4111111111111111|secret|mallory/)
    t.notMatch(service.output() + service.errors(), /Bearer|token|span lost/)
    const loaded = await packagesIn(folder)
    for (const each of ['api', 'sdk-trace', 'exporter-trace-otlp-proto'])
      t.ok(loaded.includes(`@opentelemetry/${each}`))
    await line.isClean(t)
  })
})

t.test('a trace goes on after a service died by kill -9 between two attempts', async (t) => {
  let isUp = false
  const { line, collector, processor, settings } = await setUp(t, () => (isUp ? '200 OK' : '503 Down'))
  const killed = await startReadyService(t, settings)
  const producer = producerSpan()
  await produce(line, 'tx-1', { traceparent: traceparentOf(producer), tracestate: 'vendor=a1,other=b' })
  await until('a failed attempt to be told of', () => collector.spans.some(isAttempt))
  killed.kill('SIGKILL')
  await killed.ended
  isUp = true
  await startReadyService(t, settings)
  t.match(await line.settled(1), { success: 1 })
  await until('the last attempt to be told of', () =>
    collector.spans.some((span) => isAttempt(span) && span.status !== 'ERROR'),
  )
  t.comment(draw(producer, collector.spans, processor.requests).join('\n'))
  isWhole(t, line, producer, collector.spans)
  const attempts = collector.spans.filter(isAttempt)
  t.equal(new Set(attempts.map(({ resource }) => resource['service.instance.id'])).size, 2)
  const parents = parentsOf(processor.requests)
  t.ok(parents.every(({ traceId, state }) => traceId === producer.traceId && state === 'vendor=a1,other=b'))
  t.equal(parents.at(-1)!.spanId, attempts.at(-1)!.spanId)
})

t.test('payments do not wait for a collector that is down, and a stop is not held up', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const port = await findFreePort()
  const service = await startReadyService(t, {
    ...line.settings,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
  })
  await line.produce(1_000)
  t.match(await line.settled(1_000), { success: 1_000 })
  const failed = (): object[] =>
    service.log.filter(({ event }) => String(event).startsWith('spans are not taken'))
  await until('the collector to be given up', () => failed().length > 0)
  t.match(failed(), [{ level: 40, reason: /ECONNREFUSED/ }])
  await until(
    'what it did not take to be counted',
    async () => (await readMetric(service, 'tqp_spans_dropped_total{reason="not_taken"}')) > 0,
  )
  service.kill('SIGTERM')
  t.equal(await service.ended, 0)
  t.equal(failed().length, 1, 'it was told of once')
  await line.isClean(t)
})

t.test('where traces are off, nothing of OpenTelemetry is loaded', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const folder = await mkdtemp(join(tmpdir(), 'tqp-loaded-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const service = await startReadyService(t, { ...line.settings, NODE_V8_COVERAGE: folder })
  await line.produce(10)
  await line.settled(10)
  service.kill('SIGTERM')
  t.equal(await service.ended, 0)
  // prom-client always loads the interface, which does nothing by itself.
  t.strictSame(await packagesIn(folder), ['@opentelemetry/api'])
})

/** Of OpenTelemetry's packages those of which a program has run anything: Node has written the name of each of its scripts there. */
async function packagesIn(folder: string): Promise<string[]> {
  const reports = await Promise.all(
    (await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')),
  )
  const names = reports.flatMap((report) =>
    [...report.matchAll(/"url":"[^"]*node_modules\/(@opentelemetry\/[^/]+)\//g)].map(([, name]) => name!),
  )
  return [...new Set(names)].sort()
}
