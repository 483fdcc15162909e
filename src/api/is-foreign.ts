import type { IncomingMessage } from 'node:http'

/**
 * Whether a page of another origin sends this by way of its reader's browser, who may reach what the page cannot. A browser
 * names the origin of the page that writes (RFC 6454 §7), and where it does not, says how the page is related to us
 * (`Sec-Fetch-Site`); following a link is no page's doing. Programs send neither.
 */
export function isForeign({ headers }: IncomingMessage): boolean {
  const { origin, host } = headers
  if (origin !== undefined) return !URL.canParse(origin) || new URL(origin).host !== host?.toLowerCase()
  const site = headers['sec-fetch-site'] ?? 'none'
  return headers['sec-fetch-mode'] !== 'navigate' && site !== 'same-origin' && site !== 'none'
}
