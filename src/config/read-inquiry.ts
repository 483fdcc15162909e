import type { InquiryRule } from '../message/inquiry.ts'
import { quote, type Settings } from './settings.ts'

export type InquiryConfig = {
  /** With `{idempotencyKey}` or `{transactionId}` in it. */
  readonly url: string
  readonly rules: readonly InquiryRule[]
  /** How long to wait before a payment that was not found is asked about again. */
  readonly gapMs: number
}

const gapMsMax = 3_600_000
const rulePattern =
  /^([2-5]\d\d|[2-5]xx)(?:((?:\/(?:[^/~=]|~[01])*)+)=([^:]*))?:(carried_out|refused|in_progress|not_found)$/

/** STATUS_URL with STATUS_RULES and INQUIRY_GAP; null if the processor cannot be asked. */
export function readInquiry(settings: Settings): InquiryConfig | null {
  const rules = readRules(settings)
  const gapMs = settings.milliseconds('INQUIRY_GAP', 0, gapMsMax)
  const url = settings.given('STATUS_URL')
  if (url === null) return null
  const read = settings.url('STATUS_URL', ['http:', 'https:'])
  if (read === null) return null
  if (read.username !== '' || read.password !== '')
    settings.fault(
      'STATUS_URL must not hold a user or a password: use an Authorization header in DOWNSTREAM_HEADERS.',
    )
  // The fragment is not sent: each payment would get the answer of all.
  if (!/^[^#]*\{(?:idempotencyKey|transactionId)\}/.test(url))
    settings.fault('STATUS_URL must have {idempotencyKey} or {transactionId} where the payment is named.')
  return { url, rules, gapMs }
}

function readRules(settings: Settings): InquiryRule[] {
  return settings
    .text('STATUS_RULES')
    .split(',')
    .flatMap((each): InquiryRule[] => {
      const [, status = '', pointer, value = '', means] = rulePattern.exec(each.trim()) ?? []
      if (means === undefined) {
        settings.fault(
          `STATUS_RULES has ${quote(each.trim())}: each rule must be like 404:not_found or 200/status=paid:carried_out, and end in carried_out, refused, in_progress or not_found.`,
        )
        return []
      }
      return [
        {
          status: status.endsWith('xx')
            ? (code) => String(code).startsWith(status.charAt(0))
            : (code) => code === Number(status),
          at: pointer === undefined ? null : { pointer, value },
          means: means as InquiryRule['means'],
        },
      ]
    })
}
