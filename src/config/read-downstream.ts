import type { Tls } from '../runtime/tls.ts'
import type { ReferenceSource } from '../message/reference.ts'
import { readHeaders } from './read-headers.ts'
import { readInquiry, type InquiryConfig } from './read-inquiry.ts'
import { readReferenceSource } from './read-reference-source.ts'
import { readStatuses } from './read-statuses.ts'
import { faultUnusedTls, readTls, type ReadFile } from './read-tls.ts'
import type { Settings } from './settings.ts'

export type DownstreamConfig = {
  /** Null if no processor is named: the mock processor is started. */
  readonly url: string | null
  readonly timeoutMs: number
  readonly headers: Readonly<Record<string, string>>
  readonly tls: Tls
  readonly retryStatuses: (statusCode: number) => boolean
  /** The statuses by which the processor refuses us, and not one payment: the attempt is retried, and counts as the processor's failure. */
  readonly holdStatuses: (statusCode: number) => boolean
  /** The statuses that do not say whether the processor acted. */
  readonly unknownStatuses: (statusCode: number) => boolean
  /** How the processor is asked about payments; null if it cannot be. */
  readonly inquiry: InquiryConfig | null
  /** Where its answers have what it calls the payment; null if nobody looks for it. */
  readonly reference: ReferenceSource | null
}

/** The longest timer of Node: a longer one fires at once. */
export const timerMsMax = 2 ** 31 - 1

export function readDownstream(settings: Settings, readFile: ReadFile): DownstreamConfig {
  const url = readUrl(settings)
  const tls = readTls(settings, 'DOWNSTREAM', readFile)
  if (url?.startsWith('https:') !== true)
    faultUnusedTls(settings, 'DOWNSTREAM', 'DOWNSTREAM_URL does not start with https://.')
  const timeoutMs = settings.milliseconds('DOWNSTREAM_TIMEOUT', 1, timerMsMax)
  return {
    url,
    timeoutMs,
    headers: readHeaders(settings),
    tls,
    retryStatuses: readStatuses(settings, 'RETRY_STATUSES'),
    holdStatuses: readStatuses(settings, 'HOLD_STATUSES'),
    unknownStatuses: readStatuses(settings, 'UNKNOWN_STATUSES'),
    inquiry: readInquiry(settings),
    reference: readReferenceSource(settings),
  }
}

function readUrl(settings: Settings): string | null {
  if (settings.given('DOWNSTREAM_URL') === null) return null
  const url = settings.url('DOWNSTREAM_URL', ['http:', 'https:'])
  if (url !== null && (url.username !== '' || url.password !== '')) {
    settings.fault(
      'DOWNSTREAM_URL must not hold a user or a password: use an Authorization header in DOWNSTREAM_HEADERS.',
    )
  }
  return settings.given('DOWNSTREAM_URL')
}
