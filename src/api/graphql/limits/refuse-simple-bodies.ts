import { GraphQLError } from 'graphql'
import type { Plugin } from 'graphql-yoga'

/**
 * Takes no body of a type that a page of another origin may send unasked (a "simple" request: forms and plain text). Yoga's own
 * plugin refuses a GET without a header of its own too, which would shut out EventSource and a plain curl; no GET changes
 * anything here, and its answer cannot be read from another origin.
 */
export function refuseSimpleBodies(): Plugin {
  return {
    onRequestParse: ({ request }) => {
      const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
      if (request.method !== 'POST' || acceptable.includes(type)) return
      throw new GraphQLError('The body must be JSON, with the header Content-Type: application/json.', {
        extensions: { code: 'BAD_REQUEST', http: { status: 415 } },
      })
    },
  }
}

const acceptable = ['application/json', 'application/graphql+json', 'application/graphql']
