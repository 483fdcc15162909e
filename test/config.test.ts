import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import t, { type Test } from 'tap'
import { configure, type Config } from '../src/config.ts'
import { parseEnvFile } from '../src/config/parse-env-file.ts'
import { hashSettings, secretSettings } from '../src/config/hash-settings.ts'
import { defaults, type SettingName } from '../src/config/settings.ts'
import { makeCertificates } from './support/certificates.ts'

const root = join(import.meta.dirname, '..')
const hash = 'ab'.repeat(32)

function read(environment: Record<string, string>, files: Record<string, string> = {}): Config {
  const result = configure(environment, (path) => files[path] ?? fail(path))
  if ('faults' in result) throw new Error(result.faults.join('\n'))
  return result.config
}

function faults(environment: Record<string, string>, files: Record<string, string> = {}): string[] {
  const result = configure(environment, (path) => files[path] ?? fail(path))
  return 'faults' in result ? result.faults : []
}

/** Says that there are exactly as many faults as patterns, and that each matches. */
function refuses(t: Test, told: string[], patterns: readonly RegExp[], name = 'the faults') {
  t.equal(told.length, patterns.length, `${name}: ${told.join(' ')}`)
  patterns.forEach((pattern, at) => t.match(told[at], pattern, name))
}

function fail(path: string): never {
  throw new Error(`ENOENT ${path}`)
}

t.test('with nothing set, every part is embedded and every value is the documented default', (t) => {
  const { downstream, hashes, ...config } = read({})
  t.type(hashes, 'function')
  t.strictSame(config, {
    database: { url: null, listenUrl: null, migrateUrl: null, ssl: false },
    unusedProxies: [],
    kafka: {
      brokers: null,
      topic: 'transactions.incoming',
      groupId: 'transaction-processor-group',
      tls: null,
      sasl: null,
    },
    retry: { retriesMax: 5, baseDelayMs: 60_000, maxDelayMs: 3_600_000 },
    keyWindowMs: 86_400_000,
    destination: 'default',
    rate: null,
    throttleMaxMs: 60_000,
    guard: { holdAfter: 20, brakeAfter: 50, probeEveryMs: 5_000 },
    lanes: { fresh: 50, retry: 5, leaseMs: 60_000 },
    maxRecordBytes: 16 * 1024 * 1024,
    segmentMessages: 5_000_000,
    retention: null,
    logRetention: null,
    api: {
      host: '127.0.0.1',
      port: 8000,
      tokens: [],
      tokensFile: null,
      open: false,
      publicUrl: null,
      introspection: true,
      reasonsRequired: false,
    },
    tracing: null,
    logLevel: 'info',
    dataDir: '.data',
    production: false,
    failpoint: null,
  })
  const { retryStatuses, holdStatuses, unknownStatuses, tls, ...rest } = downstream
  t.ok(tls.secureContext())
  t.strictSame(rest, { url: null, timeoutMs: 30_000, headers: {}, inquiry: null, reference: null })
  const retried = [200, 301, 400, 404, 408, 409, 425, 429, 500, 503, 599, 600].filter(retryStatuses)
  t.strictSame(retried, [408, 409, 425, 429, 500, 503, 599])
  t.strictSame([400, 401, 402, 403, 407, 408, 500].filter(holdStatuses), [401, 403, 407])
  t.strictSame([200, 429, 500, 501, 502, 503, 504, 599].filter(unknownStatuses), [500, 502, 504])
  t.end()
})

t.test('.env.example has each setting once, commented out, with its default', (t) => {
  const example = readFileSync(join(root, '.env.example'), 'utf8')
  t.strictSame(parseEnv(example), {}, 'a copy of it changes nothing')
  const lines = example.split('\n').flatMap((line) => /^# ([A-Z_]+=.*)$/.exec(line)?.[1] ?? [])
  t.strictSame(
    lines.sort(),
    Object.entries(defaults)
      .map(([name, value]) => `${name}=${value}`)
      .sort(),
  )
  t.end()
})

t.test('the defaults of .env.example are legal values, taken as they stand', (t) => {
  t.strictSame(faults({ ...defaults }), [])
  t.end()
})

t.test('STATUS_URL names the payment, and its rules are read or told', (t) => {
  const url = 'https://processor.example/payments/{idempotencyKey}'
  const { inquiry } = read({ STATUS_URL: url, INQUIRY_GAP: '0.5' }).downstream
  t.match(inquiry, { url, gapMs: 500 })
  t.strictSame(
    inquiry?.rules.map(({ at, means }) => [at?.pointer, at?.value, means]),
    [
      ['/status', 'success', 'carried_out'],
      ['/status', 'failed', 'refused'],
      ['/status', 'pending', 'in_progress'],
      [undefined, undefined, 'not_found'],
    ],
  )
  refuses(
    t,
    faults({ STATUS_URL: 'https://processor.example/payments' }),
    [/^STATUS_URL must have/],
    'names none',
  )
  refuses(
    t,
    faults({ STATUS_URL: 'https://processor.example/payments/#{transactionId}' }),
    [/^STATUS_URL must have/],
    'names it in the fragment, which is not sent',
  )
  refuses(t, faults({ STATUS_URL: 'processor/{transactionId}' }), [/^STATUS_URL is not a URL/], 'no URL')
  for (const rule of ['404', '404:lost', '200/status:carried_out', '1xx:not_found', '200/a~2=b:refused', ''])
    if (rule !== '') refuses(t, faults({ STATUS_RULES: rule }), [/^STATUS_RULES has/], rule)
  t.end()
})

t.test('REFERENCE names a place in the body or a header, or is told', (t) => {
  const readOf = (REFERENCE: string) => read({ REFERENCE }).downstream.reference
  t.strictSame(readOf('json:/data/0/a~1b'), { kind: 'json', pointer: '/data/0/a~1b' })
  t.strictSame(readOf('header:X-Payment_Id'), { kind: 'header', name: 'x-payment_id' })
  t.equal(readOf(''), null)
  for (const given of [
    '/id',
    'json:',
    'json:id',
    'json:/a~2',
    'header:',
    'header:x id',
    'header:x:y',
    'body:/id',
  ])
    refuses(
      t,
      faults({ REFERENCE: given }),
      [/^REFERENCE is ".*": it must be json: and a JSON pointer/],
      given,
    )
  t.end()
})

t.test('traces are on where an endpoint is set, as the standard says', (t) => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }
  t.strictSame(read(endpoint).tracing, {
    url: 'http://collector:4318/v1/traces',
    headers: {},
    serviceName: 'transaction-queue-proxy',
    resource: {},
    sampler: { isParentBased: true, ratio: 1 },
  })
  t.match(
    read({
      ...endpoint,
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces.example/own/path?key=1',
      OTEL_EXPORTER_OTLP_HEADERS: 'a=1,authorization=Bearer%20x=y, ',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'a=2',
      OTEL_SERVICE_NAME: 'payments',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      OTEL_TRACES_SAMPLER: 'traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
    }).tracing,
    {
      url: 'https://traces.example/own/path?key=1',
      headers: { a: '2', authorization: 'Bearer x=y' },
      serviceName: 'payments',
      resource: { 'deployment.environment.name': 'test' },
      sampler: { isParentBased: false, ratio: 0.25 },
    },
  )
  t.match(read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/base/' }).tracing, {
    url: 'http://collector:4318/base/v1/traces',
  })
  for (const off of [
    {},
    { OTEL_SERVICE_NAME: 'payments', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    { ...endpoint, OTEL_SDK_DISABLED: 'true' },
    { ...endpoint, OTEL_TRACES_EXPORTER: 'none' },
    { OTEL_TRACES_SAMPLER: 'xray', OTEL_TRACES_EXPORTER: 'console', OTEL_RESOURCE_ATTRIBUTES: '=' },
  ])
    t.equal(read(off).tracing, null)
  refuses(
    t,
    faults({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }),
    [/^OTEL_EXPORTER_OTLP_ENDPOINT/],
    'no URL',
  )
  for (const name of ['OTEL_EXPORTER_OTLP_PROTOCOL', 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'])
    refuses(t, faults({ ...endpoint, [name]: 'grpc' }), [new RegExp(`^${name} is "grpc"`)], name)
  // What a platform says for all signals is not meant for the traces where they have their own.
  const own = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' }
  t.match(read({ ...endpoint, ...own }).tracing, { url: /v1.traces$/ })
  for (const pairs of ['secret', '=secret', 'a=%FFsecret', 'a b=secret', 'a=%0Asecret']) {
    const told = faults({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: pairs })
    refuses(t, told, [/^OTEL_EXPORTER_OTLP_HEADERS/], pairs)
    t.notMatch(told[0], 'secret')
  }
  t.end()
})

t.test("OpenTelemetry's other settings are nobody's misspelt ones", (t) => {
  const others = [
    ...['METRICS', 'LOGS', 'PROFILES'].flatMap((signal) => [
      `OTEL_${signal}_EXPORTER`,
      ...['ENDPOINT', 'HEADERS', 'PROTOCOL', 'TIMEOUT', 'COMPRESSION', 'CERTIFICATE', 'INSECURE'].map(
        (word) => `OTEL_EXPORTER_OTLP_${signal}_${word}`,
      ),
    ]),
    ...['TIMEOUT', 'COMPRESSION', 'CERTIFICATE', 'CLIENT_KEY', 'CLIENT_CERTIFICATE', 'INSECURE'].flatMap(
      (word) => [`OTEL_EXPORTER_OTLP_${word}`, `OTEL_EXPORTER_OTLP_TRACES_${word}`],
    ),
    ...['SCHEDULE_DELAY', 'EXPORT_TIMEOUT', 'MAX_QUEUE_SIZE', 'MAX_EXPORT_BATCH_SIZE'].flatMap((word) => [
      `OTEL_BSP_${word}`,
      `OTEL_BLRP_${word}`,
    ]),
    'OTEL_PROPAGATORS',
    'OTEL_LOG_LEVEL',
    'OTEL_NODE_RESOURCE_DETECTORS',
    'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT',
    'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT',
    'OTEL_SEMCONV_STABILITY_OPT_IN',
    'OTEL_EXPORTER_ZIPKIN_ENDPOINT',
    'OTEL_METRIC_EXPORT_INTERVAL',
    'OTEL_CONFIG_FILE',
  ]
  t.strictSame(faults(Object.fromEntries(others.map((name) => [name, '1']))), [])
  refuses(
    t,
    faults({ OTEL_EXPORTER_OTLP_ENDPONT: 'x' }),
    [/did you mean OTEL_EXPORTER_OTLP_ENDPOINT/],
    'a typo',
  )
  t.end()
})

t.test('all faults are told at once, each by the name of its setting', (t) => {
  const told = faults({
    MAX_RETRIES: '-1',
    BASE_DELAY: '10s',
    MAX_DELAY: '2147484',
    LEASE: 'NaN',
    PORT: '65536',
    LOG_LEVEL: 'loud',
    REASONS: 'sometimes',
    KAFKA_SSL: 'maybe',
    KAFKA_BROKER: 'localhost',
    KAFKA_TOPIC: 'a topic',
    DATABASE_URL: 'localhost/transactions',
    DOWNSTREAM_URL: 'ftp://localhost',
    RETRY_STATUSES: '200',
    DOWNSTREAM_HEADERS: '[]',
    FAILPOINT: 'here',
    API_TOKENS: 'alice',
    KAFKA_BROKERS: 'localhost:9092',
  })
  const names = told.map((fault) => fault.split(/[ :]/)[0]).sort()
  t.strictSame(names, [
    'API_TOKENS',
    'BASE_DELAY',
    'DATABASE_URL',
    'DOWNSTREAM_HEADERS',
    'DOWNSTREAM_URL',
    'FAILPOINT',
    'KAFKA_BROKER',
    'KAFKA_BROKERS',
    'KAFKA_SSL',
    'KAFKA_TOPIC',
    'LEASE',
    'LOG_LEVEL',
    'MAX_DELAY',
    'MAX_RETRIES',
    'PORT',
    'REASONS',
    'RETRY_STATUSES',
  ])
  for (const fault of told) t.match(fault, /^[A-Z].*[.?]$/, 'it is one sentence')
  t.end()
})

t.test('a number of retries that is negative, huge, not whole, or not a number is refused', (t) => {
  for (const value of ['-1', '1e9', '1000000000', 'NaN', '10s', '2.5', ' 5', '0x5', '9'.repeat(400)]) {
    refuses(t, faults({ MAX_RETRIES: value }), [
      /^MAX_RETRIES is ".*": it must be a whole number from 0 to 1000\.$/,
    ])
  }
  t.equal(read({ MAX_RETRIES: '0' }).retry.retriesMax, 0)
  t.end()
})

t.test('the retention of payloads is a number of seconds, or of a unit that it names', (t) => {
  const day = 24 * 60 * 60 * 1_000
  for (const [text, retainMs] of Object.entries({
    '90d': 90 * day,
    '1.5h': 1.5 * 60 * 60 * 1_000,
    '30m': 30 * 60 * 1_000,
    '2s': 2_000,
    '0.5s': 500,
    '36500d': 36_500 * day,
  }))
    t.strictSame(read({ RETAIN_PAYLOAD: text }).retention, { retainMs, text })
  for (const text of ['', '0', '0d', '0.0'])
    t.equal(read({ RETAIN_PAYLOAD: text }).retention, null, `${text} keeps for ever`)
  for (const value of [
    '90',
    '90 d',
    '90D',
    '90w',
    '-1',
    '1e3',
    'NaN',
    '.5d',
    '0.0001s',
    '36501d',
    '9'.repeat(400),
    'forever',
  ])
    refuses(t, faults({ RETAIN_PAYLOAD: value }), [
      /^RETAIN_PAYLOAD is ".*": it must be 0, or a number with its unit \(s, m, h or d\), like 90d, and at most 36500d\.$/,
    ])
  t.end()
})

t.test('RETAIN_LOG and ARCHIVE_DIR go together, and RETAIN_LOG is longer than RETAIN_PAYLOAD', (t) => {
  t.equal(read({}).logRetention, null)
  t.strictSame(read({ RETAIN_LOG: '400d', ARCHIVE_DIR: '/srv/archives' }).logRetention, {
    retainMs: 400 * 86_400_000,
    text: '400d',
    directory: '/srv/archives',
  })
  refuses(t, faults({ RETAIN_LOG: '400d' }), [
    /^RETAIN_LOG is set but ARCHIVE_DIR is not: name the folder that the archives are put into\.$/,
  ])
  for (const off of [{}, { RETAIN_LOG: '0' }])
    refuses(t, faults({ ARCHIVE_DIR: '/srv/archives', ...off }), [
      /^ARCHIVE_DIR is set but RETAIN_LOG is not: nothing would be archived\. Set RETAIN_LOG, or leave ARCHIVE_DIR out\.$/,
    ])
  const both = { RETAIN_LOG: '90d', ARCHIVE_DIR: '/srv/archives', RETAIN_PAYLOAD: '90d' }
  refuses(t, faults(both), [/^RETAIN_LOG must be longer than RETAIN_PAYLOAD/])
  t.ok(read({ ...both, RETAIN_PAYLOAD: '89d' }))
  t.end()
})

t.test('seconds may have a fraction, and end where a timer of Node would fire at once', (t) => {
  t.equal(read({ BASE_DELAY: '0.25' }).retry.baseDelayMs, 250)
  t.equal(read({ MAX_DELAY: '2147483.647' }).retry.maxDelayMs, 2 ** 31 - 1)
  for (const name of ['BASE_DELAY', 'MAX_DELAY', 'LEASE', 'DOWNSTREAM_TIMEOUT']) {
    for (const value of [
      '2147483.648',
      '1e400',
      '9'.repeat(400),
      '-1',
      'NaN',
      'Infinity',
      '10s',
      '1,5',
      ' 1',
    ])
      refuses(
        t,
        faults({ [name]: value }),
        [new RegExp(`^${name} .* from 0(\\.001)? to 2147483.647\\.$`)],
        value,
      )
  }
  refuses(t, faults({ DOWNSTREAM_TIMEOUT: '0' }), [/^DOWNSTREAM_TIMEOUT /])
  t.end()
})

t.test('what rounds to no millisecond is not 0, which may be for ever or never', (t) => {
  t.equal(read({ KEY_WINDOW: '0.0' }).keyWindowMs, null)
  t.equal(read({ KEY_WINDOW: '0.0006' }).keyWindowMs, 1)
  for (const name of ['KEY_WINDOW', 'THROTTLE_MAX', 'INQUIRY_GAP', 'BASE_DELAY'])
    refuses(t, faults({ [name]: '0.0001' }), [
      new RegExp(`^${name} is "0.0001": it must be .*, and 0.001 at least if it is not 0\\.$`),
    ])
  t.end()
})

t.test('white space around a value is not taken for a part of it', (t) => {
  const url = 'postgresql://me:secret@db/x'
  for (const name of ['DATABASE_URL', 'LISTEN_DATABASE_URL', 'MIGRATE_DATABASE_URL'])
    for (const given of [` ${url}`, `${url} `, `${url}\n`]) {
      const { database } = read({ DATABASE_URL: url, [name]: given })
      const { url: own, listenUrl, migrateUrl } = database
      t.strictSame(
        { own, listenUrl: listenUrl ?? url, migrateUrl: migrateUrl ?? url },
        {
          own: url,
          listenUrl: url,
          migrateUrl: url,
        },
      )
    }
  refuses(t, faults({ DATABASE_URL: ' ' }), [/^DATABASE_URL is not a URL/])
  for (const given of [' ', 'group ', ' group', 'group\n'])
    refuses(t, faults({ KAFKA_GROUP_ID: given }), [
      /^KAFKA_GROUP_ID is ".*": white space at its ends is part of it\.$/,
    ])
  t.end()
})

t.test('a lease must outlive the timeout by a second', (t) => {
  refuses(t, faults({ DOWNSTREAM_TIMEOUT: '59.5' }), [/^LEASE must be at least DOWNSTREAM_TIMEOUT \+ 1/])
  t.equal(read({ DOWNSTREAM_TIMEOUT: '59' }).lanes.leaseMs, 60_000)
  refuses(t, faults({ DOWNSTREAM_TIMEOUT: 'long', LEASE: '1' }), [/^DOWNSTREAM_TIMEOUT /, /^LEASE /])
  t.end()
})

t.test('any POSTGRES setting names a database, and DATABASE_URL wins over all of them', (t) => {
  t.equal(read({ POSTGRES_HOST: 'db' }).database.url, 'postgresql://postgres@db:5432/transactions')
  const odd = { POSTGRES_USER: 'a@b', POSTGRES_PASSWORD: 'p:/ %é', POSTGRES_DB: 'x?y', POSTGRES_PORT: '6000' }
  const url = new URL(read({ ...odd, POSTGRES_HOST: '::1' }).database.url ?? '')
  t.equal(decodeURIComponent(url.username), 'a@b')
  t.equal(decodeURIComponent(url.password), 'p:/ %é')
  t.equal(decodeURIComponent(url.pathname), '/x?y')
  t.equal(url.host, '[::1]:6000')
  t.equal(
    read({ POSTGRES_HOST: '/run/pg' }).database.url,
    'postgresql://postgres@%2Frun%2Fpg:5432/transactions',
  )
  t.equal(read({ POSTGRES_HOST: 'db', DATABASE_URL: 'postgres://x/y' }).database.url, 'postgres://x/y')
  refuses(t, faults({ POSTGRES_PORT: '0' }), [/^POSTGRES_PORT /])
  refuses(t, faults({ POSTGRES_HOST: 'a b' }), [/^POSTGRES_HOST /])
  t.end()
})

t.test('a URL that is none at all is a fault as any other', (t) => {
  const told = faults({ DATABASE_URL: 'a b', DOWNSTREAM_URL: 'a b', PUBLIC_URL: 'a b' })
  refuses(t, told, [/^DATABASE_URL is not /, /^DOWNSTREAM_URL is not /, /^PUBLIC_URL is not /])
  t.end()
})

t.test('a fault in a value that may hold a secret does not repeat it', (t) => {
  const told = faults({
    DATABASE_URL: 'mysql://root:hunter2@db/x',
    DOWNSTREAM_URL: 'https://user:hunter2@processor/',
    DOWNSTREAM_HEADERS: '{"Authorization": "hunter2\\n"}',
    API_TOKENS: 'alice:operator:hunter2',
    KAFKA_SASL_PASSWORD: 'hunter2',
  })
  t.equal(told.length, 5)
  t.notMatch(told.join(' '), 'hunter2')
  t.notMatch(faults({ DOWNSTREAM_HEADERS: '{"a": hunter2' }).join(' '), 'hunter2')
  t.end()
})

t.test('a URL of several hosts is refused by name, and says what to name instead', (t) => {
  for (const url of [
    'postgresql://a,b/t',
    'postgresql://me:secret@a:5432,b:5433/t?target_session_attrs=read-write',
    'postgresql:///t?host=a,b',
  ]) {
    for (const name of ['DATABASE_URL', 'LISTEN_DATABASE_URL', 'MIGRATE_DATABASE_URL']) {
      const told = faults({ DATABASE_URL: 'postgresql://x/t', [name]: url })
      refuses(t, told, [new RegExp(`^${name} names several hosts.* name one host that leads to the primary`)])
    }
  }
  t.strictSame(
    faults({ DATABASE_URL: 'postgresql://me:a,b@x/a,b?application_name=a,b' }),
    [],
    'only of hosts',
  )
  t.end()
})

t.test('a session for LISTEN is refused where the URL says that it is a pooler', (t) => {
  const pooled = 'postgresql://x-pooler.example.org/t'
  refuses(t, faults({ DATABASE_URL: pooled }), [/^DATABASE_URL names a connection pooler/])
  refuses(t, faults({ DATABASE_URL: 'postgresql://x/t', LISTEN_DATABASE_URL: `${pooled}?pgbouncer=true` }), [
    /^LISTEN_DATABASE_URL names a connection pooler/,
  ])
  t.equal(read({ DATABASE_URL: pooled, LISTEN_DATABASE_URL: 'postgresql://x/t' }).database.url, pooled)
  refuses(t, faults({ LISTEN_DATABASE_URL: 'postgresql://x/t' }), [
    /^LISTEN_DATABASE_URL is set but DATABASE_URL is not/,
  ])
  refuses(t, faults({ MIGRATE_DATABASE_URL: 'postgresql://x/t' }), [
    /^MIGRATE_DATABASE_URL is set but DATABASE_URL is not/,
  ])
  t.end()
})

t.test('brokers are a list of host and port, and SASL is all or nothing', (t) => {
  t.strictSame(read({ KAFKA_BROKER: 'a:9092, b:9093' }).kafka.brokers, ['a:9092', 'b:9093'])
  for (const broker of ['a', 'a:0', 'a:65536', 'a:9092,', 'PLAINTEXT://a:9092', '[::1]:9092']) {
    refuses(t, faults({ KAFKA_BROKER: broker }), [/^KAFKA_BROKER must be/], broker)
  }
  const sasl = { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512', KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'p' }
  t.strictSame(read(sasl).kafka.sasl, { mechanism: 'scram-sha-512', username: 'u', password: 'p' })
  refuses(t, faults({ KAFKA_SASL_USERNAME: 'u' }), [
    /^KAFKA_SASL_MECHANISM and KAFKA_SASL_PASSWORD must be set too/,
  ])
  refuses(t, faults({ ...sasl, KAFKA_SASL_MECHANISM: 'magic' }), [/^KAFKA_SASL_MECHANISM must be one of/])
  t.end()
})

t.test('headers for the processor are legal, and never those that carry identity and attempt', (t) => {
  t.strictSame(
    read({ DOWNSTREAM_HEADERS: '{"Authorization":"Bearer x","X-Tenant":"a"}' }).downstream.headers,
    {
      Authorization: 'Bearer x',
      'X-Tenant': 'a',
    },
  )
  for (const [headers, fault] of [
    ['{"Idempotency-Key":"x"}', /Idempotency-Key is set by the service/],
    ['{"x-attempt":"1"}', /x-attempt is set by the service/],
    ['{"Content-Length":"1"}', /Content-Length is set by the service/],
    ['{"a b":"x"}', /not a legal header name/],
    ['{"a":"x\\r\\nb: c"}', /holds a character that headers must not contain/],
    ['{"a":1}', /the value of a is not a string/],
    ['{"a":"1","A":"2"}', /A is in it twice/],
    ['"a"', /must be a JSON object of strings/],
    ['{', /must be a JSON object of strings/],
  ] as const) {
    refuses(t, faults({ DOWNSTREAM_HEADERS: headers }), [fault], headers)
  }
  t.end()
})

t.test('the statuses that are retried are codes and classes', (t) => {
  const retried = read({ RETRY_STATUSES: '404, 5XX' }).downstream.retryStatuses
  t.strictSame([400, 404, 429, 499, 500, 599].filter(retried), [404, 500, 599])
  for (const statuses of ['2xx', '600', '50', '5x', '408,,429', 'all']) {
    refuses(t, faults({ RETRY_STATUSES: statuses }), [/^RETRY_STATUSES must be/], statuses)
  }
  t.end()
})

t.test('PEM files are read, and one that is missing, not PEM, alone or unused is a fault', (t) => {
  const { ca, client, stranger } = makeCertificates(t)
  const pem = '-----BEGIN CERTIFICATE-----'
  const files = { ca, cert: client.cert, key: client.key, stranger: stranger.key, junk: 'junk', pem }
  for (const [side, secured, tlsOf] of [
    ['DOWNSTREAM', { DOWNSTREAM_URL: 'https://processor/' }, ({ downstream }: Config) => downstream.tls],
    ['KAFKA', { KAFKA_SSL: 'true' }, ({ kafka }: Config) => kafka.tls],
  ] as const) {
    const [ca, cert, key] = [`${side}_CA`, `${side}_CERT`, `${side}_KEY`] as const
    const identity = { ...secured, [cert]: 'cert', [key]: 'key' }
    t.ok(tlsOf(read({ ...identity, [ca]: 'ca' }, files))?.secureContext())
    for (const [environment, fault] of [
      [{ ...secured, [ca]: 'none' }, `^${ca} names a file that cannot be read`],
      [{ ...secured, [ca]: 'junk' }, `^${ca} names a file that is not PEM`],
      [{ ...secured, [ca]: 'pem' }, `^${ca}: the certificate authority cannot be used: .*PEM`],
      [{ ...identity, [key]: 'stranger' }, `^${cert} and ${key}: the client .* cannot be used: .*mismatch`],
      [{ ...secured, [key]: 'key' }, `^${cert} and ${key} belong together`],
      [{ [ca]: 'ca' }, `^${ca} would be ignored`],
    ] as const) {
      refuses(t, faults(environment, files), [new RegExp(fault)])
    }
  }
  t.ok(read({ KAFKA_SSL: 'true' }).kafka.tls?.secureContext())
  t.end()
})

t.test('an address that others can reach needs tokens or an explicit word', (t) => {
  refuses(t, faults({ HOST: '0.0.0.0' }), [/^HOST can be reached from outside/])
  for (const host of ['127.0.0.2', '::1', 'localhost']) t.equal(read({ HOST: host }).api.host, host)
  t.equal(read({ HOST: '0.0.0.0', API_OPEN: 'true' }).api.open, true)
  t.strictSame(
    read({ HOST: '::', API_TOKENS: `alice:operator:${hash}, bob:viewer:${'CD'.repeat(32)}` }).api.tokens,
    [
      { name: 'alice', role: 'operator', sha256: hash },
      { name: 'bob', role: 'viewer', sha256: 'cd'.repeat(32) },
    ],
  )
  refuses(t, faults({ API_TOKENS: `alice:operator:${hash},bob:root:${hash}` }), [
    /^API_TOKENS: entry 2 is not/,
  ])
  refuses(t, faults({ API_TOKENS: `a:viewer:${hash},b:viewer:${hash}` }), [
    /^API_TOKENS: entry 2 has the same token/,
  ])
  t.end()
})

t.test('tokens stand in API_TOKENS, or line by line in a file, and a fault does not repeat them', (t) => {
  const file = { API_TOKENS_FILE: 'tokens' }
  const lines = `# rotated in March\n\n  alice:operator:${hash}\r\nirene:Investigator:${'CD'.repeat(32)}`
  t.match(read({ HOST: '::', ...file }, { tokens: lines }).api, {
    tokensFile: 'tokens',
    tokens: [
      { name: 'alice', role: 'operator', sha256: hash },
      { name: 'irene', role: 'investigator', sha256: 'cd'.repeat(32) },
    ],
  })
  refuses(t, faults(file), [/^API_TOKENS_FILE names a file that cannot be read\.$/])
  refuses(t, faults(file, { tokens: '# none\n' }), [/^API_TOKENS_FILE: it names no token\.$/])
  refuses(t, faults(file, { tokens: `a:viewer:${hash}\nb:viewer:the-token\n` }), [
    /^API_TOKENS_FILE: line 2 is not name:role:sha256 with role viewer, investigator or operator\.$/,
  ])
  refuses(t, faults({ ...file, API_TOKENS: `a:viewer:${hash}` }, { tokens: lines }), [
    /^API_TOKENS and API_TOKENS_FILE are both set/,
  ])
  t.end()
})

t.test('the hashes of the settings tell what has changed, and nothing of a secret', async (t) => {
  const salt = 'salt'
  const secrets: Record<string, string> = {
    DATABASE_URL: 'postgresql://u:p@h/d',
    DOWNSTREAM_HEADERS: '{"authorization":"x"}',
    API_TOKENS: `alice:operator:${hash}`,
  }
  const [one, same, other] = await Promise.all([
    hashSettings({ ...secrets, MAX_RETRIES: '5' }, salt),
    hashSettings(secrets, salt),
    hashSettings({ ...secrets, DATABASE_URL: 'postgresql://u:q@h/d', MAX_RETRIES: '6' }, salt),
  ])
  t.strictSame(Object.keys(one).sort(), Object.keys(defaults).sort(), 'every setting')
  t.strictSame(one, same, 'a default that is set is no change')
  t.strictSame(
    Object.keys(one).filter((name) => one[name] !== other[name]),
    ['DATABASE_URL', 'MAX_RETRIES'],
  )
  for (const [name, secret] of Object.entries(secrets))
    t.not(
      one[name],
      createHash('sha256').update(secret).digest('hex').slice(0, 12),
      'no list of plain hashes finds it',
    )
  t.not((await hashSettings(secrets, 'another')).DATABASE_URL, one.DATABASE_URL)
  for (const name of Object.keys(defaults).filter((each) =>
    /PASSWORD|TOKEN|HEADERS|_URL$|_ENDPOINT$/.test(each),
  ))
    t.equal(secretSettings.has(name as SettingName), !['API_TOKENS_FILE', 'PUBLIC_URL'].includes(name), name)
})

t.test('a public URL is an origin and at most a path, and one that others can reach needs tokens', (t) => {
  t.equal(read({}).api.publicUrl, null)
  const open = { API_OPEN: 'true' }
  for (const [given, origin, path] of [
    ['https://payments.example', 'https://payments.example', ''],
    ['HTTPS://Payments.Example:443/tqp/', 'https://payments.example', '/tqp'],
    ['http://10.0.0.1:8080/a/b', 'http://10.0.0.1:8080', '/a/b'],
  ] as const)
    t.strictSame(read({ ...open, PUBLIC_URL: given }).api.publicUrl, { origin, path }, given)
  for (const given of ['http://localhost:8080', 'http://127.0.0.1/tqp', 'http://[::1]:1'])
    t.ok(read({ PUBLIC_URL: given }).api.publicUrl, `${given} is this machine`)
  refuses(t, faults({ PUBLIC_URL: 'https://payments.example' }), [/^PUBLIC_URL can be reached from outside/])
  refuses(t, faults({ ...open, PUBLIC_URL: 'payments.example' }), [/^PUBLIC_URL is not a URL/])
  for (const given of ['https://a.example/?x', 'https://a.example/#x', 'https://u:p@a.example'])
    refuses(t, faults({ ...open, PUBLIC_URL: given }), [/^PUBLIC_URL must be an origin/])
  t.end()
})

t.test('a name close to a setting is a fault that says which one was meant', (t) => {
  for (const [name, meant] of [
    ['KAFKA_BROKERS', 'KAFKA_BROKER'],
    ['MAX_RETRY', 'MAX_RETRIES'],
    ['POSTGRES_PASS', 'POSTGRES_PASSWORD'],
    ['POSTGRES_USERNAME', 'POSTGRES_USER'],
    ['POSTGRES_BD', 'POSTGRES_DB'],
    ['KAKFA_TOPIC', 'KAFKA_TOPIC'],
    ['KAFKA_GROUP', 'KAFKA_GROUP_ID'],
    ['DATABSE_URL', 'DATABASE_URL'],
    ['DOWNSTREAM_URI', 'DOWNSTREAM_URL'],
    ['MAX_CONCURRENT_RETRY', 'MAX_CONCURRENT_RETRIES'],
    ['RETRY_STATUS', 'RETRY_STATUSES'],
    ['API_TOKEN', 'API_TOKENS'],
    ['LEASES', 'LEASE'],
  ] as const) {
    t.strictSame(faults({ [name]: 'x' }), [`${name} is not a setting: did you mean ${meant}?`])
  }
  t.end()
})

t.test('names that belong to others are nobody’s typo', (t) => {
  const others = [
    [
      'HOME',
      'HOSTNAME',
      'PATH',
      'PWD',
      'HOSTS',
      'RELEASE',
      'TEST_DATABASE_URL',
      'npm_config_port',
      'NODE_OPTIONS',
    ],
    ['POSTGRES_HOST_AUTH_METHOD', 'POSTGRES_INITDB_ARGS', 'KAFKA_HOME', 'KAFKA_HEAP_OPTS', 'KAFKA_BROKER_ID'],
    ['KAFKA_URL', 'API_KEY', 'LOG_FILE', 'MAX_OLD_SPACE', 'DATABASE_NAME', 'XDG_DATA_DIRS', 'BASE_DIR'],
  ].flat()
  t.strictSame(faults(Object.fromEntries(others.map((name) => [name, 'x']))), [])
  t.end()
})

t.test('in production each part that is not named is a fault, and so is a failpoint', (t) => {
  refuses(t, faults({ NODE_ENV: 'production', FAILPOINT: 'before-ingest-commit:2' }), [
    /^DATABASE_URL .* must be set in production/,
    /^KAFKA_BROKER must be set in production/,
    /^DOWNSTREAM_URL must be set in production/,
    /^FAILPOINT .* refused in production/,
  ])
  for (const given of ['prod', ' production', '"production"', "'production'", 'Production'])
    refuses(t, faults({ NODE_ENV: given }), [/^NODE_ENV is ".*": did you mean production\?$/], given)
  t.strictSame(read({ FAILPOINT: 'before-ingest-commit:2' }).failpoint, {
    name: 'before-ingest-commit',
    nth: 2,
  })
  const named = { DATABASE_URL: 'postgresql://x/t', KAFKA_BROKER: 'k:9092', DOWNSTREAM_URL: 'http://p/' }
  t.equal(read({ NODE_ENV: 'production', ...named }).production, true)
  t.end()
})

t.test('TLS to the database verifies, by the authority that is named, and no URL can undo it', (t) => {
  const files = { 'ca.pem': makeCertificates(t).ca, 'ca.der': 'binary' }
  t.ok(read({ DATABASE_SSL: 'true' }).database.ssl)
  const named = { DATABASE_SSL: 'true', DATABASE_CA: 'ca.pem' }
  t.ok(read(named, files).database.ssl)
  refuses(t, faults({ ...named, DATABASE_CA: 'ca.der' }, files), [
    /^DATABASE_CA names a file that is not PEM/,
  ])
  refuses(t, faults({ ...named, DATABASE_CA: 'none' }, files), [
    /^DATABASE_CA names a file that cannot be read/,
  ])
  refuses(t, faults({ DATABASE_CA: 'ca.pem' }, files), [/^DATABASE_CA would be ignored: DATABASE_SSL /])

  const url = 'postgresql://me:secret@db/x'
  for (const parameter of [
    'sslmode=disable',
    'sslmode=require',
    'sslmode=no-verify',
    'ssl=0',
    'sslrootcert=ca.pem',
  ]) {
    for (const name of ['DATABASE_URL', 'LISTEN_DATABASE_URL', 'MIGRATE_DATABASE_URL']) {
      const told = faults({ DATABASE_SSL: 'true', DATABASE_URL: url, [name]: `${url}?${parameter}` })
      refuses(t, told, [new RegExp(`^${name} has ssl\\w*, which would override .*: remove it`)], parameter)
      t.notMatch(told[0], 'secret')
    }
  }
  refuses(t, faults({ DATABASE_URL: `${url}?statement_timeout=0` }), [/^DATABASE_URL has statement_timeout/])
  t.strictSame(faults({ DATABASE_URL: `${url}?sslmode=disable&application_name=x` }), [], 'it says the same')
  t.end()
})

t.test('a setting that is set to nothing counts as not set', (t) => {
  t.equal(read({ DATABASE_URL: '', POSTGRES_HOST: '', MAX_RETRIES: '' }).database.url, null)
  t.end()
})

t.test('.env is read from the current folder, and the environment wins over it', (t) => {
  const folder = t.testdir({ '.env': 'KAFKA_TOPIC=of-the-file\nKAFKA_BROKER="a:1,b:2"\nPOSTGRES_HOST=db\n' })
  const program = `
    const config = await import(${JSON.stringify(join(root, 'src/config.ts'))})
    console.log(JSON.stringify([config.kafkaForTools(), config.databaseForTools(), config.nodeEnvironment()]))`
  const tsx = import.meta.resolve('tsx')
  const child = spawnSync(process.execPath, ['--import', tsx, '--input-type=module', '--eval', program], {
    cwd: folder,
    env: { PATH: process.env.PATH, KAFKA_TOPIC: 'of-the-environment', NODE_ENV: 'test' },
    encoding: 'utf8',
  })
  t.equal(child.stderr, '')
  t.strictSame(JSON.parse(child.stdout), [
    {
      brokers: ['a:1', 'b:2'],
      topic: 'of-the-environment',
      groupId: 'transaction-processor-group',
      tls: null,
      sasl: null,
    },
    { connectionString: 'postgresql://postgres@db:5432/transactions', ssl: false },
    'test',
  ])
  t.end()
})

t.test('no line of .env is passed over without a word', (t) => {
  const multiline = 'A="first\nNO NAME\n# last" # and more\nB=2\n'
  t.strictSame({ ...parseEnvFile(multiline) }, { A: 'first\nNO NAME\n# last', B: '2' })
  t.strictSame(
    { ...parseEnvFile('\ufeffA=1\r\n  # indented\r\n\r\n\t\nexport B = 2 # two\n') },
    { A: '1', B: '2' },
  )
  t.strictSame({ ...parseEnvFile("A='it\nB=\nC=3") }, { A: "'it", B: '', C: '3' }, 'a mark without an end')
  t.strictSame({ ...parseEnvFile('') }, {})
  for (const line of [
    'KEY_WINDOW 3600',
    'KEY_WINDOW: 3600',
    'KEY_WINDOW',
    '=3600',
    '- KEY_WINDOW=3600',
    '1A=2',
  ])
    t.throws(() => parseEnvFile(`A=1\n${line}\nB=2\n`), { message: '.env: line 2 is not NAME=VALUE.' }, line)
  t.end()
})

t.test('a proxy of the environment is named where payments might be expected to pass it', (t) => {
  const proxies = { HTTPS_PROXY: 'http://proxy:3128', http_proxy: 'http://proxy:3128', ALL_PROXY: '' }
  const unused = (url: string) => read({ ...proxies, DOWNSTREAM_URL: url }).unusedProxies
  t.strictSame(unused('https://processor.example/pay'), ['http_proxy', 'HTTPS_PROXY'])
  t.strictSame(unused('http://127.0.0.1:8001/process'), [])
  t.strictSame(unused('http://[::1]:8001/process'), [])
  t.strictSame(read(proxies).unusedProxies, [])
  t.end()
})
