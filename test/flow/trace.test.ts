import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel, type IHeaders } from 'kafkajs'
import t, { type Test } from 'tap'
import { answer, startProcessor, type Processor } from '../deliver/processor.ts'
import { startCollector, type CollectedSpan, type Collector } from '../support/collector.ts'
import { findFreePort } from '../support/free-port.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { readMetric, startReadyService, type Service } from '../support/service.ts'
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
  processor: Processor,
): { traceId: string; spanId: string; flags: string; state: string }[] {
  return processor.requests.map(({ head }) => {
    const [, traceId = '', spanId = '', flags = ''] =
      /\r\ntraceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])(?:\r\n|$)/.exec(head) ?? []
    return { traceId, spanId, flags, state: /\r\ntracestate: (.*)/.exec(head)?.[1] ?? '' }
  })
}

/** A line, a collector, a processor that answers as it is told to, and the settings of a service that tells of all. */
async function setUp(
  t: Test,
  statusOf: (request: number) => string,
): Promise<{ line: Line; collector: Collector; processor: Processor; settings: Record<string, string> }> {
  const [line, collector] = await Promise.all([setUpLine(t), startCollector(t)])
  const processor: Processor = await startProcessor(t, (socket) =>
    socket.write(answer(statusOf(processor.requests.length))),
  )
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

/** One payment's trace, as a person reads it. */
function draw(producer: Context, spans: readonly CollectedSpan[], processor: Processor): string[] {
  const [record] = spans.filter(({ kind }) => kind === 'CONSUMER')
  const attempts = spans.filter(({ kind }) => kind === 'CLIENT')
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
    ...processor.requests.map(({ head }) => `    ${/traceparent: .*/.exec(head)?.[0]}`),
  ]
}

for (const dies of [false, true]) {
  const when = dies ? ', the service having died by kill -9 between two attempts' : ''
  t.test(`one trace goes from the producer through each attempt to the processor${when}`, async (t) => {
    let isUp = !dies
    const { line, collector, processor, settings } = await setUp(t, (request) =>
      isUp && request > 1 ? '200 OK' : '503 Down',
    )
    const start = (): Promise<Service> => startReadyService(t, settings)
    const isAttempt = ({ kind }: CollectedSpan): boolean => kind === 'CLIENT'
    let service = await start()
    const producer = producerSpan()
    await produce(line, 'tx-1', { traceparent: traceparentOf(producer), tracestate: 'vendor=a1,other=b' })
    if (dies) {
      await until('a failed attempt to be told of', () => collector.spans.some(isAttempt))
      service.kill('SIGKILL')
      await service.ended
      isUp = true
      service = await start()
    }
    t.match(await line.settled(1), { success: 1 })
    await until('the last attempt to be told of', () =>
      collector.spans.some((span) => isAttempt(span) && span.status !== 'ERROR'),
    )

    const { spans } = collector
    t.comment(draw(producer, spans, processor).join('\n'))
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
      'messaging.consumer.group.name': settings.KAFKA_GROUP_ID,
      'tqp.transaction_id': 'tx-1',
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
    t.match(first.attributes, {
      'http.request.method': 'POST',
      'http.response.status_code': 503,
      'error.type': '503',
      'server.address': 'localhost',
      'server.port': Number(processor.url.port),
      'url.full': processor.url.href,
      'tqp.attempt': 1,
      'tqp.lane': 'fresh',
      'tqp.outcome': 'unavailable',
    })
    t.match(
      { status: first.status, message: first.message },
      { status: 'ERROR', message: 'HTTP 503 Service Unavailable' },
    )
    t.match(last.attributes, {
      'http.response.status_code': 200,
      'tqp.lane': 'retry',
      'tqp.outcome': 'accepted',
    })
    t.equal(last.attributes['http.request.resend_count'], Number(last.attributes['tqp.attempt']) - 1)
    t.notOk('error.type' in last.attributes)
    const instances = new Set(attempts.map(({ resource }) => resource['service.instance.id']))
    t.equal(instances.size, dies ? 2 : 1)

    const parents = parentsOf(processor)
    t.ok(parents.every(({ traceId, state }) => traceId === producer.traceId && state === 'vendor=a1,other=b'))
    // What the killed instance had not sent yet is lost, and nothing else.
    if (!dies)
      t.strictSame(
        parents.map(({ spanId }) => spanId),
        attempts.map(({ spanId }) => spanId),
        'the processor is told of each attempt as its parent',
      )
    t.equal(parents.at(-1)!.spanId, last.spanId)
    t.equal(new Set(parents.map(({ spanId }) => spanId)).size, parents.length)
    t.notMatch(
      JSON.stringify(spans, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each)),
      '4111',
    )
    service.kill('SIGTERM')
    t.equal(await service.ended, 0)
  })
}

t.test('a trace that its producer does not sample is passed on and told to nobody', async (t) => {
  const { line, collector, processor, settings } = await setUp(t, (request) =>
    request > 1 ? '200 OK' : '503 Down',
  )
  const service = await startReadyService(t, settings)
  const producer = producerSpan('00')
  await produce(line, 'unsampled', { traceparent: traceparentOf(producer) })
  t.match(await line.settled(1), { success: 1 })
  const parents = parentsOf(processor)
  t.match(parents, [
    { traceId: producer.traceId, flags: '00' },
    { traceId: producer.traceId, flags: '00' },
  ])
  await produce(line, 'of-no-trace')
  t.match(await line.settled(2), { success: 2 })
  service.kill('SIGTERM')
  t.equal(await service.ended, 0)
  t.strictSame(
    collector.spans.map(({ attributes }) => attributes['tqp.transaction_id']).sort(),
    ['of-no-trace', 'of-no-trace'],
    'a stop sends what is left',
  )
  const [record, attempt] = collector.spans
  t.equal(record!.parentSpanId, '')
  t.equal(attempt!.parentSpanId, record!.spanId)
  t.equal(attempt!.traceId, record!.traceId)
})

t.test('no header of a record, whatever is in it, keeps a payment from its way', async (t) => {
  const { line, collector, processor, settings } = await setUp(t, () => '200 OK')
  const service = await startReadyService(t, settings)
  const good = producerSpan()
  const traceparent = traceparentOf(good)
  const evil = 'evil'.repeat(2_500)
  const hostile: Record<string, { headers: IHeaders; trace: 'kept' | 'own'; state?: string }> = {
    'no-trace': { headers: {}, trace: 'own' },
    binary: { headers: { traceparent: randomBytes(55), tracestate: randomBytes(300) }, trace: 'own' },
    long: { headers: { traceparent: evil, tracestate: `a=${evil}` }, trace: 'own' },
    'long-state': { headers: { traceparent, tracestate: `a=${evil}` }, trace: 'kept', state: '' },
    'many-members': {
      headers: { traceparent, tracestate: Array.from({ length: 1_000 }, (_, at) => `k${at}=v`).join(',') },
      trace: 'kept',
    },
    injecting: {
      headers: { traceparent: `${traceparent}\r\nX-Evil: evil`, tracestate: 'a=b\r\nX-Evil: evil' },
      trace: 'own',
    },
    'injecting-state': {
      headers: { traceparent, tracestate: 'a=b\r\nX-Evil: evil' },
      trace: 'kept',
      state: '',
    },
    'state-alone': { headers: { tracestate: 'evil=1' }, trace: 'own', state: '' },
    zero: { headers: { traceparent: `00-${'0'.repeat(32)}-${good.spanId}-01` }, trace: 'own' },
    'version-ff': { headers: { traceparent: traceparent.replace(/^00/, 'ff') }, trace: 'own' },
    'more-parts': { headers: { traceparent: `${traceparent}-evil` }, trace: 'own' },
    'later-version': { headers: { traceparent: `${traceparent.replace(/^00/, 'cc')}-evil` }, trace: 'kept' },
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
  for (const [id, { headers }] of Object.entries(hostile)) await produce(line, id, headers)
  t.match(await line.settled(Object.keys(hostile).length), { success: Object.keys(hostile).length })
  t.notMatch(processor.received(), /evil/i, 'nothing of it reaches the processor')
  const parents = parentsOf(processor)
  processor.requests.forEach(({ body }, at) => {
    const { transaction_id: id } = JSON.parse(body.toString()) as { transaction_id: string }
    const { trace, state } = hostile[id]!
    const parent = parents[at]!
    t.equal(parent.traceId === good.traceId, trace === 'kept', id)
    t.match(parent.traceId, /^[0-9a-f]{32}$/, id)
    if (state !== undefined) t.equal(parent.state, state, id)
  })
  service.kill('SIGTERM')
  t.equal(await service.ended, 0)
  t.equal(collector.spans.length, 2 * Object.keys(hostile).length)
  t.notMatch(service.output(), 'span lost')
  await line.isClean(t)
})

t.test('an attempt after a replay says so, and nothing of what the operator said', async (t) => {
  const { line, collector, settings } = await setUp(t, (request) => (request > 1 ? '200 OK' : '400 Bad'))
  const service = await startReadyService(t, settings)
  const producer = producerSpan()
  await produce(line, 'replayed', { traceparent: traceparentOf(producer), tracestate: 'a=1' })
  t.match(await line.settled(1), { dead_letter: 1 })
  const said = { reason: 'secret words', operator: 'mallory' }
  const headers = { 'content-type': 'application/json' }
  const reply = await fetch(`${service.url}/replay/replayed`, {
    method: 'POST',
    headers,
    body: JSON.stringify(said),
  })
  t.equal(reply.status, 200)
  t.match(await line.settled(1), { success: 1 })
  service.kill('SIGTERM')
  t.equal(await service.ended, 0)
  const attempts = collector.spans.filter(({ kind }) => kind === 'CLIENT')
  t.match(attempts, [
    { traceId: producer.traceId, attributes: { 'tqp.attempt': 1, 'tqp.outcome': 'refused' } },
    {
      traceId: producer.traceId,
      traceState: 'a=1',
      attributes: { 'tqp.attempt': 2, 'tqp.replayed_by': 'operator' },
    },
  ])
  t.notOk('tqp.replayed_by' in attempts[0]!.attributes)
  t.notMatch(JSON.stringify(collector.spans.map(({ attributes }) => attributes)), /secret words|mallory/)
})

t.test('the question what became of a payment is a span of its own', async (t) => {
  const collector = await startCollector(t)
  const line = await setUpLine(t)
  const processor = await startProcessor(t, (socket, { head }) =>
    head.startsWith('GET ') ? socket.write(answer('200 OK', '{"status":"success"}')) : socket.destroy(),
  )
  const service = await startReadyService(t, {
    ...line.settings,
    DOWNSTREAM_URL: processor.url.href,
    STATUS_URL: `${processor.url.origin}/payments/{idempotencyKey}?secret=1`,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces`,
    OTEL_SERVICE_NAME: 'payments',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20token',
  })
  const producer = producerSpan()
  await produce(line, 'doubtful', { traceparent: traceparentOf(producer), tracestate: 'a=1' })
  t.match(await line.settled(1), { success: 1 })
  service.kill('SIGTERM')
  t.equal(await service.ended, 0)
  const record = collector.spans.find(({ kind }) => kind === 'CONSUMER')!
  const inquiry = collector.spans.find(({ name }) => name.startsWith('GET'))!
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
    resource: { 'service.name': 'payments', 'deployment.environment.name': 'test' },
  })
  const asked = processor.requests.find(({ head }) => head.startsWith('GET '))!
  t.match(asked.head, `traceparent: 00-${producer.traceId}-${inquiry.spanId}-01`)
  t.match(asked.head, 'tracestate: a=1')
  t.equal(collector.requests[0]!.authorization, 'Bearer token')
  t.notMatch(service.output() + service.errors(), /Bearer|token/)
})

t.test('payments do not wait for a collector that is down, and a stop is not held up', async (t) => {
  const { line, settings } = await setUp(t, () => '200 OK')
  const port = await findFreePort()
  const service = await startReadyService(t, {
    ...settings,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
  })
  await line.produce(2_000)
  t.match(await line.settled(2_000), { success: 2_000 })
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
  const collector = await startCollector(t)
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }
  const loadedBy = async (settings: Record<string, string>): Promise<string[]> => {
    const folder = await mkdtemp(join(tmpdir(), 'tqp-loaded-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    // Node writes the name of each script that it has run.
    const service = await startReadyService(t, { ...line.settings, NODE_V8_COVERAGE: folder, ...settings })
    service.kill('SIGTERM')
    t.equal(await service.ended, 0)
    const reports = await Promise.all(
      (await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')),
    )
    const packages = reports.flatMap((report) =>
      [...report.matchAll(/"url":"[^"]*node_modules\/(@opentelemetry\/[^/]+)\//g)].map(([, name]) => name!),
    )
    return [...new Set(packages)].sort()
  }
  // prom-client always loads the interface, which does nothing by itself.
  const interfaceAlone = ['@opentelemetry/api']
  t.strictSame(await loadedBy({}), interfaceAlone)
  t.strictSame(await loadedBy({ ...endpoint, OTEL_SDK_DISABLED: 'true' }), interfaceAlone)
  t.strictSame(await loadedBy({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }), interfaceAlone)
  const loaded = await loadedBy(endpoint)
  t.ok(
    loaded.includes('@opentelemetry/sdk-trace') &&
      loaded.includes('@opentelemetry/exporter-trace-otlp-proto'),
  )
})
