import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { weigh } from '../weigh.ts'
import { beginQuery, examples } from './examples.ts'
import { renderPlayground, type Playground } from './render-playground.ts'

/** A browser that follows a link asks for a page by name, and a program does not. */
export function wantsPage({ method, headers: { accept } }: IncomingMessage): boolean {
  const page = weigh(accept, 'text/html')
  return (
    (method === 'GET' || method === 'HEAD') &&
    page > Math.max(weigh(accept, 'application/json'), weigh(accept, 'application/graphql-response+json'))
  )
}

const options = {
  title: 'Transaction Queue Proxy',
  beginQuery,
  examples: examples.map((example) => ({ name: nameOf(example.query), ...example })),
}

function nameOf(query: string): string {
  const [, name = ''] = /^(?:query|mutation|subscription) (\w+)/m.exec(query) ?? []
  return name
}

let playground: Promise<Playground> | null = null

/**
 * The playground's page, open to all: it holds nothing but the program and the examples. It is rendered and compressed once, when it
 * is first asked for.
 */
export async function servePlayground(request: IncomingMessage, response: ServerResponse): Promise<void> {
  playground ??= renderPlayground(options)
  const page = await playground.catch((error: unknown) => {
    playground = null
    throw error
  })
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

async function encode(page: Playground, accepted: string | undefined): Promise<[string, Uint8Array]> {
  if (weigh(accepted, 'br') > 0) return ['br', page.brotli]
  if (weigh(accepted, 'gzip') > 0) return ['gzip', page.gzip]
  // Nobody who reads the page in a browser comes here.
  return ['identity', await promisify(gunzip)(page.gzip)]
}
