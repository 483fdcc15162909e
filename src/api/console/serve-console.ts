import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ApiDependencies } from '../api-dependencies.ts'
import { hashSource, packPage, type Page } from '../page/page.ts'
import { servePage } from '../page/serve-page.ts'
import { refusal, type Answer } from '../route.ts'
import { write } from '../write.ts'

export const consolePath = '/console'

/** Also as it is typed with a slash behind it, which leads to the page. */
export function isConsole(path: string): boolean {
  return path === consolePath || path === `${consolePath}/`
}

/** What console/build.js makes. The way to it is the same from src/ and from dist/. */
const built = new URL('../../../dist/console/console.html', import.meta.url)

let console: Promise<Page> | null = null

/**
 * Answers a request for the console's page, open to all: it holds nothing but the program, which asks for a token where one is needed.
 * Never rejects. It is read and compressed once, when it is first asked for.
 */
export async function serveConsole(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  { logger }: Pick<ApiDependencies, 'logger'>,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    await write(response, refusal(405, 'Only GET, HEAD is allowed here.', { Allow: 'GET, HEAD' }), false)
    return
  }
  if (path !== consolePath) {
    await write(response, leadToPage, false)
    return
  }
  try {
    console ??= readConsole()
    await servePage(await console, request, response)
  } catch (error) {
    console = null
    logger.error({ err: error }, 'request failed')
    if (response.headersSent) response.destroy()
    else await write(response, notBuilt, true)
  }
}

// Relative, so that it holds below whatever path a proxy has put us.
const location = `..${consolePath}`
const leadToPage: Answer = {
  status: 303,
  type: 'text/plain',
  body: `The console is at ${location}.\n`,
  headers: { Location: location },
}

const notBuilt = refusal(503, 'The console cannot be read: `npm run build` makes it.')

async function readConsole(): Promise<Page> {
  const html = await readFile(built, 'utf8')
  return packPage(html, writePolicy(findIn(html, 'script'), findIn(html, 'style')))
}

function findIn(html: string, element: 'script' | 'style'): string {
  const [, text] = new RegExp(`<${element}[^>]*>([^]*?)</${element}>`).exec(html) ?? []
  if (text === undefined) throw new Error(`the console's page has no ${element}`)
  return text
}

/** The page's one script and one style, and no host but this one, over HTTP and WebSocket. Nothing is made of text at run time. */
function writePolicy(script: string, style: string): string {
  return [
    `default-src 'none'`,
    `script-src ${hashSource(script)}`,
    `style-src ${hashSource(style)}`,
    `connect-src 'self'`,
    `img-src data:`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
    `require-trusted-types-for 'script'`,
  ].join('; ')
}
