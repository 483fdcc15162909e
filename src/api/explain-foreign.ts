import type { IncomingMessage } from 'node:http'
import type { Access } from './access.ts'

/**
 * Why this is taken for the asking of another origin's page, by way of its reader's browser, who may reach what the page cannot; null
 * if it is not. A browser names the origin of the page that writes (RFC 6454 §7), and where it does not, says how the page is related to
 * us (`Sec-Fetch-Site`); following a link is no page's doing. Programs send neither. Behind a proxy our own page has an origin that
 * only the settings know.
 */
export function explainForeign(
  { headers }: Pick<IncomingMessage, 'headers'>,
  { publicUrl = null }: Pick<Access, 'publicUrl'>,
): string | null {
  const { origin, host } = headers
  const isFollowed = headers['sec-fetch-mode'] === 'navigate'
  const site = headers['sec-fetch-site'] ?? 'none'
  if (origin === undefined) {
    if (isFollowed || site === 'same-origin' || site === 'none') return null
    return `the browser says ${cut(`Sec-Fetch-Site: ${site}`)}.`
  }
  if (!URL.canParse(origin)) return `the page's origin is ${cut(origin)}, which is none of ours.`
  if (new URL(origin).host === host?.toLowerCase() || origin === publicUrl?.origin) return null
  const known = publicUrl === null ? '' : ` or ${publicUrl.origin} (PUBLIC_URL)`
  const asked = `the page is of ${cut(origin)}, and the service is asked as ${cut(host ?? 'nothing')}${known}.`
  return `${asked} If that page is the service's own, behind a proxy, set PUBLIC_URL=${cut(origin)}`
}

/** What a stranger wrote, for a sentence of ours. */
function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
