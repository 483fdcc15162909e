import { request as requestPlainly, STATUS_CODES, type RequestOptions } from 'node:http'
import { request as requestSecurely, type RequestOptions as SecureOptions } from 'node:https'
import type { SecureContext } from 'node:tls'
import { readAnswer, type InquiryResult, type InquiryRule } from '../message/inquiry.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import type { Tls } from '../runtime/tls.ts'

export type InquirerSettings = {
  /** With `{idempotencyKey}` or `{transactionId}` in it. */
  url: string
  rules: readonly InquiryRule[]
  timeoutMs: number
  headers: Readonly<Record<string, string>>
  tls: Tls
}

export type Inquire = (
  payment: { idempotencyKey: string; transactionId: string },
  signal: AbortSignal,
) => Promise<InquiryResult>

const bodyBytesMax = 65_536

/**
 * Asks the processor what it knows of a payment, by one GET on a connection of its own. Never rejects; what is no whole answer within the
 * timeout, or none that a rule knows, is `no_answer`. No word of an answer is kept.
 */
export function createInquirer(settings: InquirerSettings): Inquire {
  const { rules, timeoutMs } = settings
  return async ({ idempotencyKey, transactionId }, signal) => {
    const url = new URL(
      settings.url
        .replaceAll('{idempotencyKey}', () => encodeURIComponent(idempotencyKey))
        .replaceAll('{transactionId}', () => encodeURIComponent(transactionId)),
    )
    const ended = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    try {
      const { statusCode, body } = await get(url, settings, ended)
      const phrase = STATUS_CODES[statusCode]
      const reason = phrase === undefined ? `HTTP ${statusCode}` : `HTTP ${statusCode} ${phrase}`
      return { answer: readAnswer(rules, statusCode, body), statusCode, reason }
    } catch (error) {
      const isLate = ended.aborted && !signal.aborted
      return {
        answer: 'no_answer',
        statusCode: null,
        reason: isLate ? `timeout after ${timeoutMs / 1_000} s` : reasonOf(error),
      }
    }
  }
}

/** The answer, once it came whole; of a body at most 64 KiB. */
function get(
  url: URL,
  { headers, tls }: InquirerSettings,
  signal: AbortSignal,
): Promise<{ statusCode: number; body: string }> {
  return new Promise((resolve, reject) => {
    const options: RequestOptions = { method: 'GET', headers, agent: false, signal }
    // Node passes it on to tls.connect, and its types do not say so.
    const secure: SecureOptions & { secureContext: SecureContext } = {
      ...options,
      secureContext: tls.secureContext(),
    }
    const sent = url.protocol === 'https:' ? requestSecurely(url, secure) : requestPlainly(url, options)
    sent.on('error', reject)
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      const end = (): void =>
        resolve({ statusCode: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') })
      response.on('error', reject)
      response.on('aborted', () => reject(new Error('the answer broke before its end')))
      response.on('end', end)
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes < bodyBytesMax) return
        end()
        sent.destroy()
      })
    })
    sent.end()
  })
}
