import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Page } from '../page/page.ts'
import { servePage } from '../page/serve-page.ts'
import { beginQuery, examples } from './examples.ts'
import { renderPlayground } from './render-playground.ts'

const options = {
  title: 'Transaction Queue Proxy',
  beginQuery,
  examples: examples.map((example) => ({ name: nameOf(example.query), ...example })),
}

function nameOf(query: string): string {
  const [, name = ''] = /^(?:query|mutation|subscription) (\w+)/m.exec(query) ?? []
  return name
}

let playground: Promise<Page> | null = null

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
  await servePage(page, request, response)
}
