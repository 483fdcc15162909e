import { validateHeaderName, validateHeaderValue } from 'node:http'
import { isValid } from './read-headers.ts'
import type { SettingName, Settings } from './settings.ts'

/** Where spans are sent, and of what. */
export type TracingConfig = {
  /** Whole: the path is in it. */
  readonly url: string
  /** Their values are often credentials. */
  readonly headers: Readonly<Record<string, string>>
  readonly serviceName: string
  /** What every span says of the service beside its name. */
  readonly resource: Readonly<Record<string, string>>
  readonly sampler: { readonly isParentBased: boolean; readonly ratio: number }
}

const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const

/**
 * The standard's variables of OpenTelemetry that the service knows; null if traces are off. A platform may give them to all its
 * containers: where no spans are sent, values that this service does not know do no harm.
 */
export function readTracing(settings: Settings): TracingConfig | null {
  const isDisabled = settings.flag('OTEL_SDK_DISABLED')
  const url = readUrl(settings)
  if (url === null || isDisabled || settings.given('OTEL_TRACES_EXPORTER') === 'none') return null
  settings.choice('OTEL_TRACES_EXPORTER', ['otlp', 'none'])
  const config = {
    headers: {
      ...readHeaders(settings, 'OTEL_EXPORTER_OTLP_HEADERS'),
      ...readHeaders(settings, 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'),
    },
    serviceName: settings.text('OTEL_SERVICE_NAME'),
    resource: readPairs(settings, 'OTEL_RESOURCE_ATTRIBUTES'),
    sampler: readSampler(settings),
  }
  const isOwn = settings.given('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') !== null
  settings.choice(isOwn ? 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL' : 'OTEL_EXPORTER_OTLP_PROTOCOL', [
    'http/protobuf',
  ])
  return { url, ...config }
}

/** The endpoint of all signals has a path to come; that of the traces is whole. */
function readUrl(settings: Settings): string | null {
  const protocols = ['http:', 'https:']
  const own = settings.given('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  if (own !== null) return settings.url('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', protocols)?.href ?? null
  if (settings.given('OTEL_EXPORTER_OTLP_ENDPOINT') === null) return null
  const url = settings.url('OTEL_EXPORTER_OTLP_ENDPOINT', protocols)
  if (url === null) return null
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`
  return url.href
}

function readSampler(settings: Settings): TracingConfig['sampler'] {
  const name = settings.choice('OTEL_TRACES_SAMPLER', samplers)
  const share = settings.number('OTEL_TRACES_SAMPLER_ARG', 0, 1)
  const ratio = name.endsWith('traceidratio') ? share : name.endsWith('always_on') ? 1 : 0
  return { isParentBased: name.startsWith('parentbased_'), ratio }
}

function readHeaders(settings: Settings, name: SettingName): Record<string, string> {
  const headers = readPairs(settings, name)
  for (const [header, value] of Object.entries(headers)) {
    const isLegal =
      isValid(() => validateHeaderName(header)) && isValid(() => validateHeaderValue(header, value))
    if (!isLegal) settings.fault(`${name}: a header in it has an illegal name or value.`)
  }
  return headers
}

/** `name=value,…`, with values percent-encoded. No fault repeats a value. */
function readPairs(settings: Settings, name: SettingName): Record<string, string> {
  const pairs = new Map<string, string>()
  for (const each of settings.text(name).split(',')) {
    if (each.trim() === '') continue
    const [key = '', ...rest] = each.split('=')
    const value = decode(rest.join('=').trim())
    if (key.trim() === '' || rest.length === 0 || value === null)
      settings.fault(`${name} must be a list like name=value,name=value, with values percent-encoded.`)
    else pairs.set(key.trim(), value)
  }
  return Object.fromEntries(pairs)
}

function decode(value: string): string | null {
  try {
    return decodeURIComponent(value)
  } catch {
    return null
  }
}
