import type { Plugin } from 'graphql-yoga'
import { compress } from '../compress.ts'

/** Compresses whole answers. Events are sent past Yoga, and what it answers for them has no body. */
export function compressAnswers(): Plugin {
  return {
    onResponse: async (hook) => {
      const { request, response, fetchAPI } = hook
      if (!/\bjson\b/.test(response.headers.get('content-type') ?? '')) return
      const { status, statusText } = response
      const headers = new fetchAPI.Headers(response.headers)
      const { body, headers: added } = await compress(
        await response.text(),
        request.headers.get('accept-encoding'),
      )
      for (const [name, value] of Object.entries(added)) headers.set(name, value)
      headers.append('Vary', 'Accept-Encoding')
      headers.set('Content-Length', String(body.length))
      hook.setResponse(
        new fetchAPI.Response(body as Uint8Array<ArrayBuffer>, { status, statusText, headers }),
      )
    },
  }
}
