/** Beside this page, whatever path a proxy puts before both. */
export const endpoint = new URL('graphql', location.href.replace(/#.*$/, ''))
endpoint.search = ''

/** The same over WebSocket. */
export function socketEndpoint(): string {
  const url = new URL(endpoint)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}
