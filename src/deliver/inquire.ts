import { request as requestPlainly, type RequestOptions } from 'node:http'
import { request as requestSecurely, type RequestOptions as SecureOptions } from 'node:https'
import type { SecureContext } from 'node:tls'
import { readAnswer, type InquiryResult, type InquiryRule } from '../message/inquiry.ts'
import { readReference, type ReferenceSource } from '../message/reference.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import type { Tls } from '../runtime/tls.ts'
import { describeStatus } from './classify.ts'
import { readTraceHeaders } from './read-trace-headers.ts'

export type InquirerSettings = {
  /** With `{idempotencyKey}` or `{transactionId}` in it. */
  url: string
  rules: readonly InquiryRule[]
  timeoutMs: number
  /** Where answers have what the processor calls the payment; null if nobody looks for it. */
  reference: ReferenceSource | null
  headers: Readonly<Record<string, string>>
  tls: Tls
}

export type Inquire = (
  payment: {
    idempotencyKey: string
    transactionId: string
    /** The headers of its trace; null if it is in none. */
    trace?: { traceparent: string | null; tracestate: string | null } | null
  },
  signal: AbortSignal,
) => Promise<InquiryResult>

const bodyBytesMax = 65_536

/**
 * Asks the processor what it knows of a payment, by one GET on a connection of its own. Never rejects, and always ends: what is no whole
 * answer within the timeout, or none that a rule knows, is `no_answer`. No word of an answer is kept, but what it calls the payment:
 * one that does not know the payment, or that no rule knows, calls it nothing.
 */
export function createInquirer(settings: InquirerSettings): Inquire {
  return async (payment, signal) => {
    try {
      const sent = { ...settings.headers, ...readTraceHeaders(payment.trace ?? null) }
      const asked = { ...settings, headers: sent }
      const { statusCode, body, isWhole, headers } = await get(urlOf(settings.url, payment), asked, signal)
      const whole = isWhole ? body : null
      const cut = isWhole ? '' : `, and over ${bodyBytesMax / 1_024} KiB of body`
      const reason = `${describeStatus(statusCode)}${cut}`
      const answer = readAnswer(settings.rules, statusCode, whole)
      const { reference: source } = settings
      if (source === null) return { answer, statusCode, reason }
      const isKnown = answer !== 'not_found' && answer !== 'no_answer'
      const header = source.kind === 'header' ? (headers[source.name]?.[0] ?? null) : null
      const found = isKnown ? readReference(source, { body: whole, header }) : null
      return { answer, statusCode, reason, reference: found }
    } catch (error) {
      return { answer: 'no_answer', statusCode: null, reason: reasonOf(error) }
    }
  }
}

/** @throws Error if a path cannot name this payment */
function urlOf(
  url: string,
  { idempotencyKey, transactionId }: { idempotencyKey: string; transactionId: string },
): URL {
  // As a step of a path these two lead to another address, percent-encoded too.
  if (/^\.\.?$/.test(transactionId) && url.includes('{transactionId}'))
    throw new Error(`the transaction id "${transactionId}" cannot be part of an address`)
  return new URL(
    url
      .replaceAll('{idempotencyKey}', () => encodeURIComponent(idempotencyKey))
      .replaceAll('{transactionId}', () => encodeURIComponent(transactionId)),
  )
}

/**
 * The answer, once it came whole; of a body at most 64 KiB. It settles at the latest with its own timer: Node collects the timer of
 * AbortSignal.timeout() while the request is open, and then it never fires.
 */
function get(
  url: URL,
  { headers, tls, timeoutMs }: InquirerSettings,
  signal: AbortSignal,
): Promise<{ statusCode: number; body: string; isWhole: boolean; headers: NodeJS.Dict<string[]> }> {
  return new Promise((resolve, reject) => {
    const options: RequestOptions = { method: 'GET', headers, agent: false }
    // Node passes it on to tls.connect, and its types do not say so.
    const secure: SecureOptions & { secureContext: SecureContext } = {
      ...options,
      secureContext: tls.secureContext(),
    }
    const sent = url.protocol === 'https:' ? requestSecurely(url, secure) : requestPlainly(url, options)
    const giveUp = (reason: string): void => {
      reject(new Error(reason))
      sent.destroy()
    }
    const stop = (): void => giveUp('the service stops')
    const timer = setTimeout(() => giveUp(`timeout after ${timeoutMs / 1_000} s`), timeoutMs)
    signal.addEventListener('abort', stop)
    sent.on('close', () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      reject(new Error('the connection ended without an answer'))
    })
    sent.on('error', reject)
    // Without this listener Node ends the connection and says nothing.
    sent.on('upgrade', ({ statusCode }, socket) => {
      reject(new Error(`HTTP ${statusCode}: not asked for`))
      socket.destroy()
    })
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      const end = (): void =>
        resolve({
          statusCode: response.statusCode ?? 0,
          body: Buffer.concat(chunks).toString('utf8'),
          isWhole: bytes < bodyBytesMax,
          headers: response.headersDistinct,
        })
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
    if (signal.aborted) stop()
    else sent.end()
  })
}
