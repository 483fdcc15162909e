import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { weigh } from '../weigh.ts'
import type { Page } from './page.ts'

/** A browser that follows a link asks for a page by name, and a program does not. */
export function wantsPage({ method, headers: { accept } }: IncomingMessage): boolean {
  const page = weigh(accept, 'text/html')
  return (
    (method === 'GET' || method === 'HEAD') &&
    page > Math.max(weigh(accept, 'application/json'), weigh(accept, 'application/graphql-response+json'))
  )
}

/** Answers with the page, in the encoding that the browser takes; with 304 where it has this one already. */
export async function servePage(
  page: Page,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [encoding, body] = await encode(page, request.headers['accept-encoding'])
  const etag = `"${page.etag}-${encoding}"`
  const headers = {
    'Cache-Control': 'no-cache',
    'Content-Security-Policy': page.contentSecurityPolicy,
    ETag: etag,
    'Referrer-Policy': 'no-referrer',
    Vary: 'Accept, Accept-Encoding',
    'X-Content-Type-Options': 'nosniff',
  }
  if (request.headers['if-none-match']?.includes(etag)) {
    response.writeHead(304, headers).end()
    return
  }
  response.writeHead(200, {
    ...headers,
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': body.length,
    ...(encoding === 'identity' ? {} : { 'Content-Encoding': encoding }),
  })
  response.end(body)
}

async function encode(page: Page, accepted: string | undefined): Promise<[string, Uint8Array]> {
  if (weigh(accepted, 'br') > 0) return ['br', page.brotli]
  if (weigh(accepted, 'gzip') > 0) return ['gzip', page.gzip]
  // Nobody who reads the page in a browser comes here.
  return ['identity', await promisify(gunzip)(page.gzip)]
}
