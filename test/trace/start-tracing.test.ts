import { pino } from 'pino'
import t from 'tap'
import { createMetrics } from '../../src/metrics.ts'
import { startTracing } from '../../src/trace/start-tracing.ts'
import type { Inquiry } from '../../src/log/write/inquiry.ts'
import { startCollector } from '../support/collector.ts'
import { until } from '../support/until.ts'

// A path may hold bytes that are no UTF-8, as the processor wants them.
for (const [statusUrl, template] of [
  ['http://127.0.0.1/caf%E9/{transactionId}', '/caf%E9/{transactionId}'],
  ['http://127.0.0.1/a%2Fb%25/{idempotencyKey}?key=secret', '/a%2Fb%25/{idempotencyKey}'],
] as const) {
  t.test(`an inquiry's span has the path as it was set: ${template}`, async (t) => {
    const collector = await startCollector(t)
    const tracing = startTracing({
      url: `${collector.url}/v1/traces`,
      headers: {},
      serviceName: 'test',
      resource: {},
      sampler: { isParentBased: true, ratio: 1 },
      instance: 'instance-1',
      release: '0.0.0',
      groupId: 'group',
      downstreamUrl: new URL('http://127.0.0.1/process'),
      statusUrl,
      metrics: createMetrics('test'),
      logger: pino({ level: 'silent' }),
    })
    const inquiry = { messageId: '1', transactionId: 'pay-1', attempt: 1, traceparent: null } as Inquiry
    tracing.startInquiry(inquiry, 'fresh').end({ answer: 'not_found', statusCode: 404, reason: 'HTTP 404' })
    await tracing.stop(60_000)
    await until('the span', () => collector.spans.length === 1)
    const [span] = collector.spans
    t.equal(span!.name, `GET ${template}`)
    t.equal(span!.attributes['url.full'], `http://127.0.0.1${template}`)
  })
}
